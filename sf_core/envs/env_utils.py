"""What environment authors import: registering an env, and the interfaces an env may implement.

In: factories and envs of users. Out: registrations (kept in `plugins/script.py`), answers about an env. Not known here:
how a run picks or steps an env.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sf_core.plugins.script import register_env

__all__ = [
    "EnvFactory",
    "RewardShapingInterface",
    "TrainingInfoInterface",
    "VectorEnvFactory",
    "find_interface",
    "is_multiagent_env",
    "register_env",
]

EnvFactory = Callable[..., Any]
"""`f(full_env_name, cfg, env_config, render_mode=None, **params) -> env`"""

VectorEnvFactory = Callable[..., Any]
"""`f(full_env_name, cfg, env_configs, render_mode=None, **params) -> gymnasium.vector.VectorEnv`"""

_Interface = TypeVar("_Interface")


class RewardShapingInterface:
    """An env or wrapper whose reward is a weighted sum with weights that may change during training."""

    def get_default_reward_shaping(self) -> dict[str, Any] | None:
        """The weights to start from, or None for no shaping."""
        raise NotImplementedError

    def set_reward_shaping(self, reward_shaping: Mapping[str, Any], agent_index: int | slice) -> None:
        """Use these weights for one agent, or several."""
        raise NotImplementedError


class TrainingInfoInterface:
    """An env or wrapper that wants to know how far training has come (curricula)."""

    def __init__(self) -> None:
        self.training_info: dict[str, Any] = {}

    def set_training_info(self, training_info: Mapping[str, Any]) -> None:
        """Called at the end of an episode with, for instance, `approx_total_training_steps`."""
        self.training_info = dict(training_info)


def is_multiagent_env(env: Any) -> bool:
    """Whether an env follows the contract of lists: it says so, or it has several agents."""
    said = _said_by(env, "is_multiagent")
    return num_agents_of(env) > 1 if said is None else bool(said)


def num_agents_of(env: Any) -> int:
    """How many agents an env says it has; 1 if it does not say."""
    said = _said_by(env, "num_agents")
    return 1 if said is None else int(said)


def _said_by(env: Any, name: str) -> Any:
    """An attribute of an env, or of what it wraps (Gymnasium's wrappers pass none on by themselves), or None."""
    if hasattr(env, name):
        return getattr(env, name)
    wraps = getattr(env, "has_wrapper_attr", None)
    return env.get_wrapper_attr(name) if wraps is not None and wraps(name) else None


def find_interface(env: Any, interface: type[_Interface]) -> _Interface | None:
    """The outermost of an env and what it wraps that implements an interface, or None."""
    while env is not None:
        if isinstance(env, interface):
            return env
        unwrapped = getattr(env, "env", None)
        env = unwrapped if unwrapped is not env else None
    return None
