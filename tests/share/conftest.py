from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
import torch

from sf_core.cfg.arguments import full_cfg, parse_sf_args
from sf_core.cfg.saved import write_config
from sf_core.envs.spaces import space_to_json
from sf_core.learner.checkpoint_folder import write_checkpoint
from sf_core.model.factory import build_actor_critic
from sf_core.model.normalizer import RunningMeanStd
from sf_core.plugins.manager import build_plan, get_manager

SMALL = {"encoder_mlp_layers": 8, "encoder_conv_mlp_layers": 8, "rnn_size": 6, "use_rnn": False, "seed": 1}


def make_run(
    folder: Path, obs_space: Any = None, action_space: Any = None, env: str = "CartPole-v1", **options: Any
) -> Path:
    """The folder of a run whose policy is small, random, and has seen something."""
    cartpole = gymnasium.make("CartPole-v1")
    obs_space = obs_space or gymnasium.spaces.Dict({"obs": cartpole.observation_space})  # as training stores it
    action_space = action_space or cartpole.action_space
    values = {"env": env, "experiment": folder.name, "train_dir": folder.parent, **SMALL, **options}
    argv = [f"--{name}={value}" for name, value in values.items()]
    cfg = full_cfg(parse_sf_args(argv)[0], argv)
    plan = build_plan(cfg, get_manager())
    network = build_actor_critic(plan.model, cfg, obs_space, action_space)
    for module in network.modules():
        if isinstance(module, RunningMeanStd):
            module.update(torch.randn(64, *module.mean.shape) * 3 + 1)
    facts = {
        "policy_version": 7,
        "env_steps": 1000,
        "observation_space": space_to_json(obs_space),
        "action_space": space_to_json(action_space),
        "components": {
            kind: getattr(plan.model, kind).qualified for kind in ("actor_critic", "encoder", "core", "decoder")
        },
        "config": dict(cfg),
    }
    path = folder / "checkpoint_p0" / "checkpoint_000000007_1000"
    write_checkpoint(path, network.state_dict(), {"step": torch.zeros(1)}, facts)
    write_config(folder, cfg)
    return folder


class FakeApi:
    """What is used of `huggingface_hub.HfApi`, over repositories in memory: name -> {private, commits}."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Any]] = {}
        self.asked_for: list[str] = []

    def create_repo(self, repo_id: str, *, private: bool, repo_type: str, exist_ok: bool) -> None:
        assert repo_type == "model"
        assert exist_ok or repo_id not in self.repositories
        self.repositories.setdefault(repo_id, {"private": private, "commits": []})
        if not self.repositories[repo_id]["commits"]:
            self.commit(repo_id, {".gitattributes": b"*.safetensors filter=lfs"})

    def commit(self, repo_id: str, files: dict[str, bytes]) -> str:
        commits = self.repositories[repo_id]["commits"]
        content = sorted((path, hashlib.sha1(data).hexdigest()) for path, data in files.items())
        sha = hashlib.sha1(repr((len(commits), content)).encode()).hexdigest()
        commits.append((sha, dict(files)))
        return sha

    def upload_folder(
        self, *, repo_id: str, folder_path: str, commit_message: str, repo_type: str, delete_patterns: str
    ) -> SimpleNamespace:
        folder = Path(folder_path)
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        before = self.files(repo_id)
        kept = {path: data for path, data in before.items() if not fnmatch.fnmatch(path, delete_patterns)}
        return SimpleNamespace(oid=self.commit(repo_id, {**kept, **files}))

    def model_info(self, repo_id: str, *, revision: str | None = None, files_metadata: bool = False) -> SimpleNamespace:
        if repo_id not in self.repositories:
            raise OSError("404 Client Error\nRepository Not Found")
        siblings = [SimpleNamespace(rfilename=p, size=len(data)) for p, data in self.files(repo_id, revision).items()]
        sha = next(sha for sha, _ in reversed(self.repositories[repo_id]["commits"]) if revision in (None, sha))
        return SimpleNamespace(sha=sha, private=self.repositories[repo_id]["private"], siblings=siblings)

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: str) -> str:
        self.asked_for.append(filename)
        path = Path(local_dir) / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files(repo_id, revision)[filename])
        return str(path)

    def files(self, repo_id: str, revision: str | None = None) -> dict[str, bytes]:
        commits = self.repositories[repo_id]["commits"]
        return next(files for sha, files in reversed(commits) if revision in (None, "main", sha))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """A hub in memory, which `sf-hub` connects to."""
    api = FakeApi()
    monkeypatch.setattr("sf_core.share.hub.connect", lambda: api)
    return api


@pytest.fixture(autouse=True)
def _one_thread_and_a_fixed_seed() -> Iterator[None]:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    return lambda *spaces_of_agent, name="run", **options: make_run(
        tmp_path / "train_dir" / name, *spaces_of_agent, **options
    )
