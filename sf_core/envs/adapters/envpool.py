"""EnvPool's asynchronous interface, `send` and `recv`, as one vector of agents.

In: an EnvPool made for Gymnasium, with any `batch_size`. Out: the `TimeStep`s of `vector.py`, rows in the order of env
ids. Not known here: how the pool is made (`envs/envpool_envs.py`), policies.

Its threads step whatever they were sent and hand out batches of those that are done first, in any order; every batch
says which envs it holds. A pool smaller than its envs (`batch_size` below `num_envs`) keeps all threads busy until the
last env is done, and this side writes the first batches to their rows in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv


class EnvPoolVector(VectorEnv[Any, Any, Any]):
    """A pool as a synchronous `VectorEnv` in NEXT_STEP mode: each step sends to all envs and receives from all.

    The arrays of one step are written anew by the next.

    Args:
        pool: an instance of what `envpool.make_gymnasium` returns. It was given its seeds when it was made; `reset`
            with others goes on with those.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.metadata = pool.metadata
        self.num_envs = int(pool.config["num_envs"])
        self.render_mode = getattr(pool, "render_mode", None)
        self.single_observation_space = pool.single_observation_space
        self.single_action_space = pool.single_action_space
        self.observation_space, self.action_space = pool.observation_space, pool.action_space
        self._env_ids = np.arange(self.num_envs, dtype=np.int32)
        self._rows: Any = None  # what `recv` returns, with a row for every env

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start new episodes everywhere."""
        self._pool.async_reset()
        observation, _, _, _, infos = self._receive()
        return observation, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """See `VectorEnv.step`."""
        self._pool.send(actions, self._env_ids)
        observation, reward, terminated, truncated, infos = self._receive()
        return observation, reward, terminated, truncated, infos

    def render(self) -> Any:
        """See `VectorEnv.render`."""
        return self._pool.render()

    def close_extras(self, **kwargs: Any) -> None:
        """See `VectorEnv.close_extras`."""
        self._pool.close()

    def _receive(self) -> Any:
        """One result of every env, sorted by env id."""
        missing = self.num_envs
        while missing:
            batch = self._pool.recv()
            rows = batch[4]["env_id"]
            if self._rows is None:
                self._rows = _allocate(batch, len(rows), self.num_envs)
            _scatter(self._rows, batch, rows)
            missing -= len(rows)
        return self._rows


def is_pool(env: Any) -> bool:
    """Whether this is an EnvPool, whose `step` may return less than a row for each env."""
    return all(callable(getattr(env, name, None)) for name in ("async_reset", "send", "recv"))


def _allocate(batch: Any, batch_size: int, num_envs: int) -> Any:
    """Arrays like those of a batch, with a row for every env; what has no row for each env is left out."""
    if isinstance(batch, Mapping):
        parts = {key: _allocate(value, batch_size, num_envs) for key, value in batch.items()}
        return {key: value for key, value in parts.items() if value is not None}
    if isinstance(batch, tuple):
        return tuple(_allocate(value, batch_size, num_envs) for value in batch)
    array = np.asarray(batch)
    if array.ndim == 0 or len(array) != batch_size:
        return None
    return np.zeros((num_envs, *array.shape[1:]), array.dtype)


def _scatter(target: Any, batch: Any, rows: np.ndarray) -> None:
    if isinstance(target, Mapping):
        for key, value in target.items():
            _scatter(value, batch[key], rows)
    elif isinstance(target, tuple):
        for value, part in zip(target, batch, strict=True):
            _scatter(value, part, rows)
    elif target is not None:
        target[rows] = batch
