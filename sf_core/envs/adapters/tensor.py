"""A vector environment whose arrays are torch tensors on one device, in every autoreset mode.

In: one `gymnasium.vector.VectorEnv` whose `metadata["tensor_device"]` names the device of everything it returns and
takes. Out: `TensorStep`s, which say of tensors what `TimeStep` says of arrays. Not known here: how the env is made,
policies, rollouts.

The rules are those of `vector.py`, without asking the device anything: whether some episode ended is a number that only
the device knows, and waiting for it would empty its queue in every step. Only DISABLED has to ask, since this adapter
resets there. Infos are read as `vector.py` reads them, given as tensors with a row for each env.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from sf_core.envs.adapters.common import TENSOR_DEVICE
from sf_core.envs.adapters.vector import NativeEnvs, reset_vector
from sf_core.envs.checks import check_five, check_length, check_pair
from sf_core.envs.spaces import LONE_ACTION, LONE_OBSERVATION
from sf_core.envs.tensor_dtype import torch_dtype
from sf_core.envs.timestep import EPISODE_EXTRA_STATS, LIFE_LOST, TRUE_OBJECTIVE
from sf_core.utils.errors import UsageError


@dataclass(frozen=True, slots=True)
class TensorStep:
    """One step of N envs. The fields are those of `TimeStep`, as tensors that the next step may overwrite.

    Attributes:
        final_observation: key -> `[N, *space]`, meaningful in the rows of `final_rows`; None where there cannot be any.
        final_rows: `[N]` bool, the step truncated and reset, and `final_observation` is known; None as above.
        approximate: `[N]` bool, the step truncated and reset, and no final observation is known; None as above.
        extra_stats: name -> `[N]`, of the episodes that ended; NaN where the env did not say.
    """

    observation: dict[str, Tensor]
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    episode_start: Tensor
    episode_end: Tensor
    final_observation: dict[str, Tensor] | None
    final_rows: Tensor | None
    approximate: Tensor | None
    extra_stats: dict[str, Tensor]


class TensorEnvs(NativeEnvs):
    """One tensor env, one agent in each of its envs.

    Attributes:
        device: where its tensors are.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        super().__init__(env, name=name, seed=seed, first_env_id=first_env_id)
        self.device = torch.device(env.metadata[TENSOR_DEVICE])
        self._decode = action_decoder(self.action_space, self.device)
        self._all = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._resetting = ~self._all  # NEXT_STEP: the envs whose next step only resets

    def reset(self, seed: int | Sequence[int] | None = None) -> dict[str, Tensor]:
        """See `AgentVector.reset`."""
        result = reset_vector(self._env, self._seeds.seeds_for(seed))
        check_pair(self.name, result)
        self._resetting = ~self._all
        observation = self._flat(result[0])
        self._check_observation(observation)
        return observation

    def step(self, actions: Mapping[str, Tensor]) -> TensorStep:
        """See `AgentVector.step`."""
        result = self._env.step(self._decode(actions))
        if not self._checked_step:
            self._check_step(result)
        raw_observation, reward, terminated, raw_truncated, infos = result
        observation = self._flat(raw_observation)
        reward = reward.to(torch.float32)
        ended = terminated | raw_truncated
        valid = self._all
        if self._mode is AutoresetMode.NEXT_STEP:
            # an env that is over again right after its reset goes round once more: its row stays invalid
            valid = ~self._resetting
            self._resetting = ended
            reward = torch.where(valid, reward, torch.zeros_like(reward))
            terminated, ended = terminated & valid, ended & valid
        final_infos = infos.get("final_info", infos) if self._mode is AutoresetMode.SAME_STEP else infos
        lost = _life_lost(infos, final_infos, ended)
        if lost is not None:
            terminated = terminated | (lost & valid)
        truncated = ended & ~terminated  # terminated wins: a terminal state has value 0

        final_observation = final_rows = approximate = None
        episode_start = terminated | truncated
        if self._mode is AutoresetMode.NEXT_STEP:
            episode_start = (episode_start & ~ended) | ~valid
        elif self._mode is AutoresetMode.DISABLED:
            if bool(ended.any()):
                # copies: the reset may write into the tensors that the step returned
                final_observation, final_rows = {key: x.clone() for key, x in observation.items()}, truncated
                observation = self._reset_where(ended, final_observation)
        elif (given := infos.get("final_obs")) is not None:
            final_observation = self._flat(given)
            known = infos.get("_final_obs", self._all)
            final_rows, approximate = truncated & known, truncated & ~known
        else:
            approximate = truncated
        return TensorStep(
            observation=observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            episode_start=episode_start,
            episode_end=ended,
            final_observation=final_observation,
            final_rows=final_rows,
            approximate=approximate,
            extra_stats=_extra_stats(final_infos),
        )

    def _flat(self, observation: Any) -> dict[str, Tensor]:
        return _flatten(self._raw_observation_space, observation, "")

    def _reset_where(self, ended: Tensor, left_behind: dict[str, Tensor]) -> dict[str, Tensor]:
        """Reset the envs that ended (DISABLED); returns what to act on next, in tensors of its own."""
        fresh = self._flat(self._env.reset(options={"reset_mask": ended.clone()})[0])
        return {
            key: torch.where(ended.reshape(-1, *(1,) * (x.ndim - 1)), fresh[key], x) for key, x in left_behind.items()
        }

    def _check_step(self, result: Any) -> None:
        check_five(self.name, result)
        for what, values in zip(("reward", "terminated", "truncated"), result[1:4], strict=True):
            self._check_tensor(what, values)
            check_length(self.name, what, values, self.num_envs)
        for what, values in (("terminated", result[2]), ("truncated", result[3])):
            if values.dtype != torch.bool:
                raise UsageError(f"env {self.name!r} returned {what} as {values.dtype}; return a bool tensor")
        self._check_observation(self._flat(result[0]))
        self._checked_step = True

    def _check_observation(self, observation: Mapping[str, Any]) -> None:
        for key, leaf in self.observation_space.spaces.items():
            self._check_tensor(f"observation {key!r}", observation.get(key))
            shape = (self.num_envs, *(leaf.shape or ()))
            if tuple(observation[key].shape) != shape:
                found = tuple(observation[key].shape)
                raise UsageError(
                    f"env {self.name!r} returned observation {key!r} of shape {found} where its observation_space says "
                    f"{shape}; correct one of the two in the env"
                )

    def _check_tensor(self, what: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise UsageError(
                f"env {self.name!r} returned {what} as a {type(value).__name__}; with metadata['{TENSOR_DEVICE}'] "
                "everything it returns must be a torch tensor"
            )
        if value.device.type != self.device.type or (self.device.index or 0) != (value.device.index or 0):
            raise UsageError(
                f"env {self.name!r} returned {what} on {value.device}, but its metadata['{TENSOR_DEVICE}'] says "
                f"{self.device}; make the two agree"
            )


class HostEnvs(VectorEnv[Any, Any, Any]):
    """A tensor env as any other vector env: arrays out, arrays in. For evaluation, which is in no hurry."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self._env = env
        self._device = torch.device(env.metadata[TENSOR_DEVICE])
        self.metadata = {key: value for key, value in env.metadata.items() if key != TENSOR_DEVICE}
        self.num_envs = env.num_envs
        self.render_mode = getattr(env, "render_mode", None)
        self.single_observation_space, self.single_action_space = env.single_observation_space, env.single_action_space
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See `VectorEnv.reset`."""
        tensors = {key: self._to_device(value) for key, value in (options or {}).items()} or None
        observation, infos = self._env.reset(seed=seed, options=tensors)
        return _to_host(observation), _to_host(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """See `VectorEnv.step`."""
        observation, reward, terminated, truncated, infos = map(_to_host, self._env.step(self._to_device(actions)))
        return observation, reward, terminated, truncated, infos

    def render(self) -> Any:
        """See `VectorEnv.render`."""
        return self._env.render()

    def close_extras(self, **kwargs: Any) -> None:
        """See `VectorEnv.close_extras`."""
        self._env.close()

    def _to_device(self, value: Any) -> Any:
        return _map_leaves(value, lambda x: torch.as_tensor(x, device=self._device) if isinstance(x, np.ndarray) else x)


def action_decoder(space: Space[Any], device: torch.device) -> Callable[[Mapping[str, Tensor]], Any]:
    """`decode_action` for tensors: starts added, boxes clipped to their bounds, the env's dtypes and nesting."""
    return _decoder(space, device, "")


def _decoder(space: Space[Any], device: torch.device, prefix: str) -> Callable[[Mapping[str, Tensor]], Any]:
    def below(key: Any) -> str:
        return f"{prefix}/{key}" if prefix else str(key)

    if isinstance(space, spaces.Dict):
        by_key = {key: _decoder(child, device, below(key)) for key, child in space.spaces.items()}
        return lambda actions: {key: decode(actions) for key, decode in by_key.items()}
    if isinstance(space, spaces.Tuple):
        in_order = [_decoder(child, device, below(index)) for index, child in enumerate(space.spaces)]
        return lambda actions: tuple(decode(actions) for decode in in_order)
    name, dtype = prefix or LONE_ACTION, torch_dtype(space.dtype)
    if isinstance(space, spaces.Box):
        low, high = (torch.as_tensor(bound, device=device) for bound in (space.low, space.high))
        if dtype.is_floating_point:
            return lambda actions: actions[name].to(dtype).clamp(low, high)
        # round first: the cast would truncate towards zero and make the end points half as likely
        return lambda actions: actions[name].round().clamp(low.float(), high.float()).to(dtype)
    start = getattr(space, "start", None)
    if start is None or not np.any(start):
        return lambda actions: actions[name].to(dtype, copy=True)  # an env may change what it is given
    offset = torch.as_tensor(np.asarray(start), device=device)
    return lambda actions: (actions[name] + offset).to(dtype)


def _flatten(space: Space[Any], value: Any, prefix: str) -> dict[str, Any]:
    """`flatten_observation` for tensors: name -> `[N, *leaf]` in the leaf's dtype."""
    children: list[tuple[str, Space[Any], Any]]
    if isinstance(space, spaces.Dict):
        children = [(str(key), child, value[key]) for key, child in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        children = [(str(index), child, value[index]) for index, child in enumerate(space.spaces)]
    else:
        leaf = value.to(torch_dtype(space.dtype)) if isinstance(value, Tensor) else value
        return {prefix or LONE_OBSERVATION: leaf}
    flat: dict[str, Any] = {}
    for key, child, part in children:
        flat |= _flatten(child, part, f"{prefix}/{key}" if prefix else key)
    return flat


def _life_lost(infos: Mapping[str, Any], final_infos: Mapping[str, Any], ended: Tensor) -> Tensor | None:
    """`infos["life_lost"]`; an env that ended in this step (SAME_STEP) says it in its final infos."""
    lost: Tensor | None = infos.get(LIFE_LOST)
    if final_infos is not infos and LIFE_LOST in final_infos:
        at_end = final_infos[LIFE_LOST] & ended
        lost = at_end if lost is None else torch.where(ended, at_end, lost)
    return lost


def _extra_stats(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    """Name -> `[N]`; NaN in the rows of which Gymnasium's masks (`_name`) say that nothing was said."""
    given = infos.get(EPISODE_EXTRA_STATS, {})
    said = {key: (x, given.get(f"_{key}")) for key, x in given.items() if not (key[:1] == "_" and key[1:] in given)}
    if TRUE_OBJECTIVE in infos:
        said[TRUE_OBJECTIVE] = (infos[TRUE_OBJECTIVE], infos.get(f"_{TRUE_OBJECTIVE}"))
    return {key: _where(mask, x) for key, (x, mask) in said.items() if isinstance(x, Tensor) and x.ndim == 1}


def _where(mask: Any, x: Tensor) -> Tensor:
    if not isinstance(mask, Tensor):
        return x
    return (x if x.is_floating_point() else x.float()).masked_fill(~mask, torch.nan)


def _to_host(value: Any) -> Any:
    return _map_leaves(value, lambda x: x.cpu().numpy() if isinstance(x, Tensor) else x)


def _map_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _map_leaves(child, change) for key, child in value.items()}
    if isinstance(value, tuple):
        return tuple(_map_leaves(child, change) for child in value)
    return change(value)
