"""A trained policy and what it was trained in, opened from a run folder or in a run.

In: an evaluation configuration (which run, which checkpoint), or a run's own and one of its checkpoints. Out: policy,
plan, configuration. Does not know how it is played.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sf_core.cfg.config import Config
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.timestep import AgentVector
from sf_core.model.checkpoint_files import JSON_FILE, SavedPolicy, load_saved_policy, read_saved_policy
from sf_core.model.loading import policy_from, policy_of
from sf_core.model.policy import Policy
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.plugins.plan import RunPlan
from sf_core.utils.errors import UsageError

_ASKED = ("config", "cli")
_LEAST_SEED = 2**31  # what training draws is below


@dataclass(frozen=True)
class EvalSession:
    """A policy with frozen statistics, and how to make the environments it plays in.

    Attributes:
        cfg: of the run; its seed is that of the evaluation.
        env_steps: env steps behind the checkpoint.
        seed_asked: the number that the seed was made of.
    """

    cfg: Config
    plan: RunPlan
    policy: Policy
    env_steps: int
    seed_asked: int

    @property
    def seed(self) -> int:
        """Of the envs and of the sampled actions."""
        return int(self.cfg.seed)

    @property
    def checkpoint(self) -> Path:
        """The folder of the checkpoint."""
        assert self.policy.checkpoint is not None  # it was loaded from one
        return self.policy.checkpoint

    def make_vector(self, num_envs: int, render_mode: str | None = None) -> AgentVector:
        """Environments of this process, made with the evaluation's own seed.

        Raises:
            UsageError: their spaces differ from those the policy was trained with.
        """
        vector = create_agent_vector(
            self.plan.env, self.cfg, num_envs, seed=self.seed, render_mode=render_mode, tensors="convert"
        )
        try:
            self.check_spaces(vector)
        except UsageError:
            vector.close()
            raise
        return vector

    def check_spaces(self, env: Any) -> None:
        """Refuse an env (anything with its spaces) that the policy was not trained for.

        Raises:
            UsageError: the spaces differ.
        """
        for name in ("observation_space", "action_space"):
            trained, now = getattr(self.policy, name), getattr(env, name)
            if trained != now:
                raise UsageError(
                    f"{self.cfg.env} now has the {name.replace('_', ' ')} {now}, but the policy was trained with "
                    f"{trained}; evaluate with the options and plugin versions it was trained with."
                )


def open_session(cfg: Config) -> EvalSession:
    """Load the policy that `cfg` names.

    Raises:
        UsageError: no such run or checkpoint, or a component that is not installed.
    """
    manager = get_manager(tuple(cfg.plugins or ()), strict=bool(cfg.strict_plugins))
    plan = build_plan(cfg, manager)
    saved = load_saved_policy(_checkpoint_path(cfg), cfg.load_checkpoint_kind)
    policy = policy_of(Policy, saved, cfg.device, tuple(cfg.plugins or ()))
    seed = asked(cfg, "seed") or 0
    return _session(cfg, plan, saved, policy, seed, evaluation_seed(seed))


def open_session_of_run(cfg: Config, plan: RunPlan, checkpoint: Path) -> EvalSession:
    """A checkpoint of the run that `cfg` and `plan` describe, without looking anything up.

    Its episodes are not those of `sf-eval`: what is chosen by them can be measured anew by others.
    """
    saved = read_saved_policy(checkpoint)
    policy = policy_from(Policy, saved, plan.model, cfg.device)
    return _session(cfg, plan, saved, policy, int(cfg.seed), evaluation_seed(int(cfg.seed), 1))


def evaluation_seed(*numbers: int) -> int:
    """A seed of 32 bits that no training run draws, even from the same number."""
    word = np.random.SeedSequence([*numbers, 0xE7A1]).generate_state(1, np.uint32)[0]
    return _LEAST_SEED | int(word)


def asked(cfg: Config, name: str) -> Any:
    """The value of an option where this command's user gave it; None for defaults, and for what the run had."""
    return cfg[name] if cfg.origin(name) in _ASKED else None


def _session(cfg: Config, plan: RunPlan, saved: SavedPolicy, policy: Policy, seed_asked: int, seed: int) -> EvalSession:
    # nothing is read a second time: the run may replace its checkpoint meanwhile
    return EvalSession(cfg.replace("engine", seed=seed), plan, policy, saved.facts["env_steps"], seed_asked)


def _checkpoint_path(cfg: Config) -> Path:
    """What `--checkpoint` names, or the folder in which `--load_checkpoint_kind` chooses.

    Raises:
        UsageError: there is no checkpoint of that name.
    """
    directory = Path(cfg.train_dir).expanduser() / str(cfg.experiment) / f"checkpoint_p{cfg.policy_index}"
    if not cfg.get("checkpoint"):
        return directory
    name = Path(cfg.checkpoint).expanduser()
    for path in (directory / name, directory / "milestones" / name, name):
        if (path / JSON_FILE).is_file():
            return path
    there = sorted(path.parent.name for path in directory.glob(f"**/{JSON_FILE}"))
    raise UsageError(
        f"there is no checkpoint {cfg.checkpoint} in {directory}"
        + (f"; it has {', '.join(there)}." if there else ", which has none.")
    )
