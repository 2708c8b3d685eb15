from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.cfg.arguments import full_cfg, parse_sf_args
from sf_core.cfg.saved import write_config
from sf_core.envs.spaces import space_to_json
from sf_core.learner.checkpoint_folder import write_checkpoint
from sf_core.model.factory import build_actor_critic
from sf_core.model.normalizer import RunningMeanStd
from sf_core.plugins.manager import build_plan, get_manager

VECTOR = spaces.Box(-np.inf, np.inf, (4,), np.float32)
SMALL = {"encoder_mlp_layers": 8, "encoder_conv_mlp_layers": 8, "rnn_size": 6, "use_rnn": False, "seed": 1}


def make_run(
    folder: Path, obs_space: Any = VECTOR, action_space: Any = None, env: str = "CartPole-v1", **options: Any
) -> Path:
    """The folder of a run whose policy is small, random, and has seen something."""
    action_space = action_space or spaces.Discrete(2)
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
