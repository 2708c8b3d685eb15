"""From a plan to environments: one native vector env, or as many single ones, as one vector of agents.

In: the resolved plan, the configuration, how many envs, their numbers and the run's seed. Out: an `AgentVector`. Not
known here: plugins other than the owner of the env, who will act.

This is the one place that chooses the adapter; from here on every kind of env is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from gymnasium.vector import VectorEnv

from sf_core.envs.adapters.common import TENSOR_DEVICE
from sf_core.envs.adapters.envpool import EnvPoolVector, is_pool
from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.pettingzoo import as_lists, is_pettingzoo_env
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.env_utils import is_multiagent_env
from sf_core.envs.reward_shaping import change_reward_shaping
from sf_core.envs.seeding import env_seeds
from sf_core.envs.timestep import AgentVector
from sf_core.plugins.plan import EnvPlan
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

if TYPE_CHECKING:
    from sf_core.envs.adapters.tensor import TensorEnvs  # it brings torch

Tensors = Literal["refuse", "convert", "keep"]
"""What to do about an env that gives tensors: say that it cannot be used, make arrays of them, leave them alone."""

_initialised: set[tuple[Any, int]] = set()  # worker_init runs once in a process, whatever number of vectors it makes


@overload
def create_agent_vector(
    plan: EnvPlan, cfg: Any, num_envs: int, *, seed: int = ..., tensors: Literal["keep"]
) -> AgentVector | TensorEnvs: ...


@overload
def create_agent_vector(
    plan: EnvPlan,
    cfg: Any,
    num_envs: int,
    *,
    worker_index: int = ...,
    first_env_id: int = ...,
    first_vector_index: int = ...,
    seed: int = ...,
    render_mode: str | None = ...,
    tensors: Literal["refuse", "convert"] = ...,
) -> AgentVector: ...


def create_agent_vector(
    plan: EnvPlan,
    cfg: Any,
    num_envs: int,
    *,
    worker_index: int = 0,
    first_env_id: int = 0,
    first_vector_index: int = 0,
    seed: int = 0,
    render_mode: str | None = None,
    tensors: Tensors = "refuse",
) -> AgentVector | TensorEnvs:
    """Make `num_envs` envs that are stepped together.

    Args:
        plan: how one env, or a vector of them, is made.
        cfg: the configuration, handed to the factory.
        num_envs: how many envs.
        worker_index: which worker they belong to.
        first_env_id: number of the first env among all envs of the run; with `seed` it decides the env's own seed.
        first_vector_index: number of the first env within its worker.
        seed: the run's seed.
        render_mode: what the factory should make the envs render as.
        tensors: whether the caller can do with an env that gives torch tensors.

    Raises:
        UsageError: the factory returned something that cannot be stepped, or a mismatch of spaces or agents.
    """
    seeds = env_seeds(seed, num_envs, first_env_id)
    env_configs = tuple(
        AttrDict(
            worker_index=worker_index,
            vector_index=first_vector_index + index,
            env_id=first_env_id + index,
            seed=seeds[index],
        )
        for index in range(num_envs)
    )
    _init_worker_once(plan, cfg, worker_index)
    # native vectors cannot draw, and wrappers are made for single envs
    if plan.vector_factory is not None and not plan.wrappers and render_mode is None:
        env = _shaped(plan, cfg, plan.call_vector_factory(cfg, env_configs, render_mode))
        return _vector_adapter(plan.name, env, num_envs, seed, first_env_id, tensors)
    return _adapter(plan.name, _create_all(plan, cfg, env_configs, render_mode), seed, first_env_id, tensors)


def create_env(full_env_name: str, cfg: Any, env_config: Any = None, render_mode: str | None = None) -> Any:
    """One env by its name, outside of any run: what scripts written for Sample Factory call.

    Returns:
        What the factory of this env returns, inside the wrappers chosen in `cfg`.

    Raises:
        UsageError: no such env, or what it needs is not installed.
    """
    from sf_core.plugins.manager import get_manager
    from sf_core.plugins.planning import build_plan

    plan = build_plan({"env": full_env_name, "env_wrappers": _get(cfg, "env_wrappers", [])}, get_manager()).env
    if env_config is None:
        env_config = AttrDict(worker_index=0, vector_index=0, env_id=0, seed=env_seeds(0, 1)[0])
    _init_worker_once(plan, cfg, _get(env_config, "worker_index", 0))
    return _shaped(plan, cfg, plan.call_factory(cfg, env_config, render_mode))


def _get(source: Any, key: str, default: Any) -> Any:
    return source.get(key, default) if isinstance(source, Mapping) else getattr(source, key, default)


def _create_all(plan: EnvPlan, cfg: Any, env_configs: Sequence[AttrDict], render_mode: str | None) -> list[Any]:
    envs: list[Any] = []
    try:
        for env_config in env_configs:
            envs.append(plan.call_factory(cfg, env_config, render_mode))
            _shaped(plan, cfg, envs[-1])
    except BaseException:
        for env in envs:
            env.close()
        raise
    return envs


def _shaped(plan: EnvPlan, cfg: Any, env: Any) -> Any:
    """The env, with the weights of its reward that `--reward_shaping` asks for."""
    changes = _get(cfg, "reward_shaping", None)
    if changes:
        change_reward_shaping(plan.name, env, changes)
    return env


def _adapter(name: str, envs: list[Any], seed: int, first_env_id: int, tensors: Tensors) -> AgentVector | TensorEnvs:
    first = envs[0]
    if isinstance(first, VectorEnv):
        if len(envs) > 1:
            raise UsageError(
                f"env {name!r}: its factory returns a vector env, and {len(envs)} were asked for; offer it as "
                "vector_factory, which is told how many envs to make"
            )
        return _vector_adapter(name, first, first.num_envs, seed, first_env_id * first.num_envs, tensors)
    for method in ("reset", "step", "close"):
        if not callable(getattr(first, method, None)):
            raise UsageError(
                f"env {name!r}: its factory returned a {type(first).__name__} without a method {method}(); "
                "return a Gymnasium env"
            )
    if is_pettingzoo_env(first):
        envs = [as_lists(env, name) for env in envs]
        return MultiAgentEnvs(envs, name=name, seed=seed, first_env_id=first_env_id)
    if is_multiagent_env(first):
        return MultiAgentEnvs(envs, name=name, seed=seed, first_env_id=first_env_id)
    return SingleEnvs(envs, name=name, seed=seed, first_env_id=first_env_id)


def _vector_adapter(
    name: str, env: Any, num_envs: int, seed: int, first_env_id: int, tensors: Tensors
) -> AgentVector | TensorEnvs:
    if not isinstance(env, VectorEnv):
        raise UsageError(
            f"env {name!r}: its vector_factory returned a {type(env).__name__}; return a gymnasium.vector.VectorEnv"
        )
    if is_pool(env):
        env = EnvPoolVector(env)
    if env.num_envs != num_envs:
        raise UsageError(
            f"env {name!r}: its vector_factory made {env.num_envs} envs where {num_envs} were asked for; "
            "make one for each entry of env_configs"
        )
    if TENSOR_DEVICE not in (env.metadata or {}):
        return VectorEnvs(env, name=name, seed=seed, first_env_id=first_env_id)
    if tensors == "refuse":
        env.close()
        raise UsageError(
            f"env {name!r} keeps its observations on a device as tensors, which other processes cannot read; "
            "add --serial_mode=True"
        )
    from sf_core.envs.adapters.tensor import HostEnvs, TensorEnvs

    if tensors == "convert":
        return VectorEnvs(HostEnvs(env), name=name, seed=seed, first_env_id=first_env_id)
    return TensorEnvs(env, name=name, seed=seed, first_env_id=first_env_id)


def _init_worker_once(plan: EnvPlan, cfg: Any, worker_index: int) -> None:
    key = (plan.worker_init, worker_index)
    if plan.worker_init is not None and key not in _initialised:
        plan.init_worker(cfg, worker_index)
        _initialised.add(key)
