"""An env that costs nothing: what is left of a step is the framework's own.

numpy and gymnasium only, since env workers import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from sf_bench.first_step import note_first_step

OBSERVATION = spaces.Box(-1.0, 1.0, (4,), np.float32)
ACTION: spaces.Discrete = spaces.Discrete(2)


class NullEnv(gym.Env[np.ndarray, np.int64]):
    """One of it."""

    observation_space = OBSERVATION
    action_space = ACTION
    _nothing = np.zeros(4, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Nothing."""
        return self._nothing, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Nothing."""
        return self._nothing, 0.0, False, False, {}


class NullVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`num_envs` of it, stepped natively; always the same arrays."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = OBSERVATION, ACTION
        self.observation_space = gym.vector.utils.batch_space(OBSERVATION, num_envs)
        self.action_space = gym.vector.utils.batch_space(ACTION, num_envs)
        self._observation = np.zeros((num_envs, 4), np.float32)
        self._reward = np.zeros(num_envs, np.float32)
        self._never = np.zeros(num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Nothing."""
        return self._observation, {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Nothing."""
        return self._observation, self._reward, self._never, self._never, {}


def make_null_env(full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None) -> NullEnv:
    """One env."""
    env: NullEnv = note_first_step(NullEnv())
    return env


def make_null_vector_env(
    full_env_name: str, cfg: Any, env_configs: Sequence[Mapping[str, Any]], render_mode: str | None = None
) -> NullVectorEnv:
    """One vector of envs."""
    env: NullVectorEnv = note_first_step(NullVectorEnv(len(env_configs)))
    return env
