"""A trained policy and environments to try it in, opened from a run folder.

In: an evaluation configuration (which run, which checkpoint). Out: policy, agent vector, configuration of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sf_core.cfg.config import Config
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.timestep import AgentVector
from sf_core.model.policy import Policy
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.utils.errors import UsageError


@dataclass(frozen=True)
class EvalSession:
    """A policy with frozen statistics, and the environments it plays in."""

    cfg: Config
    policy: Policy
    vector: AgentVector
    checkpoint: Path


def open_session(cfg: Config, num_envs: int, render_mode: str | None = None) -> EvalSession:
    """Load the policy that `cfg` names and build `num_envs` environments for it.

    Raises:
        UsageError: no such run or checkpoint, a component that is not installed, or an environment whose spaces
            differ from those the policy was trained with.
    """
    manager = get_manager(tuple(cfg.plugins or ()), strict=bool(cfg.strict_plugins))
    plan = build_plan(cfg, manager)
    directory = Path(cfg.train_dir).expanduser() / cfg.experiment / f"checkpoint_p{cfg.policy_index}"
    policy = Policy.load(
        directory,
        device=cfg.device,
        checkpoint_kind=cfg.load_checkpoint_kind,
        plugins=tuple(cfg.plugins or ()),
    )
    vector = create_agent_vector(
        plan.env, cfg, num_envs, seed=eval_seed(cfg), render_mode=render_mode, tensors="convert"
    )
    for name, trained, now in (
        ("observation", policy.observation_space, vector.observation_space),
        ("action", policy.action_space, vector.action_space),
    ):
        if trained != now:
            vector.close()
            raise UsageError(
                f"{cfg.env} now has the {name} space {now}, but the policy was trained with {trained}; "
                "evaluate with the options and plugin versions it was trained with."
            )
    assert policy.checkpoint is not None  # it was loaded from one
    return EvalSession(cfg, policy, vector, policy.checkpoint)


def eval_seed(cfg: Config) -> int:
    """Seed of the envs and sampled actions: `--seed` if given, else one that no training run draws (2³¹)."""
    return int(cfg.seed) if cfg.seed is not None and cfg.origin("seed") == "cli" else 2**31
