"""Single Gymnasium environments, stepped one after the other, as one vector of agents.

In: a list of `gymnasium.Env` with the same spaces. Out: `TimeStep`s in which an env that ended has already been reset;
where it was truncated, the observation it left behind is kept. Not known here: who made the envs, who acts in them.

The loop over `env.step` is all the Python there is per env and step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from sf_core.envs.adapters.common import first_frame, observation_arrays, render_fps, reset_env, stats_of
from sf_core.envs.checks import check_five, check_observation, check_pair, check_reward, flat_spaces
from sf_core.envs.seeding import SeedSource
from sf_core.envs.spaces import LONE_OBSERVATION, action_rows, decode_action, flatten_observation, is_action_mask
from sf_core.envs.timestep import LIFE_LOST, TimeStep
from sf_core.utils.errors import UsageError


class SingleEnvs:
    """`AgentVector` over single envs, one agent each."""

    def __init__(
        self, envs: Sequence[gym.Env[Any, Any]], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        self._envs = list(envs)
        self._seeds = SeedSource(len(self._envs), seed, first_env_id)
        self._raw_observation_space = self._envs[0].observation_space
        self.name = name
        self.num_envs = self.num_agents = len(self._envs)
        self.agents_per_env = 1
        self.observation_space = flat_spaces(name, self._raw_observation_space)
        self.action_space = self._envs[0].action_space
        self.render_mode: str | None = getattr(self._envs[0], "render_mode", None)
        self.render_fps = render_fps(self._envs[0])
        for index, env in enumerate(self._envs):
            if env.observation_space != self._raw_observation_space or env.action_space != self.action_space:
                raise UsageError(
                    f"env {name!r}: copy {index} has other spaces than copy 0; every copy of an env must have the "
                    "same observation_space and action_space"
                )
        self._composite = isinstance(self._raw_observation_space, spaces.Dict | spaces.Tuple)
        self._observation = observation_arrays(self.observation_space, self.num_agents)
        self._final_observation = observation_arrays(self.observation_space, self.num_agents)
        self._all = np.ones(self.num_agents, bool)
        self._none = np.zeros(self.num_agents, bool)
        self._checked_step = False
        self._closed = False

    def reset(self, seed: int | Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """See `AgentVector.reset`."""
        seeds = self._seeds.seeds_for(seed)
        for index, env in enumerate(self._envs):
            result = reset_env(env, None if seeds is None else seeds[index])
            check_pair(self.name, result)
            check_observation(self.name, self._raw_observation_space, result[0])
            self._store(self._observation, index, result[0])
        return self._observation

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        num_agents = self.num_agents
        reward = np.zeros(num_agents, np.float32)
        terminated = np.zeros(num_agents, bool)
        truncated = np.zeros(num_agents, bool)
        ended = np.zeros(num_agents, bool)
        extra_stats: dict[int, dict[str, float]] = {}
        rows = action_rows(self.action_space, decode_action(self.action_space, actions, batched=True))
        for index, env in enumerate(self._envs):
            result = env.step(rows[index])
            if not self._checked_step:
                self._check_step(result)
            observation, reward[index], over, cut, info = result
            if info and info.get(LIFE_LOST, False):
                terminated[index] = True
            if over or cut:
                ended[index] = True
                if over:
                    terminated[index] = True
                elif not terminated[index]:  # terminated wins: a terminal state has value 0
                    truncated[index] = True
                    self._store(self._final_observation, index, observation)
                stats = stats_of(info)
                if stats:
                    extra_stats[index] = stats
                observation = env.reset()[0]
            self._store(self._observation, index, observation)
        self._checked_step = True
        return TimeStep(
            observation=self._observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=self._all,
            active=self._all,
            episode_start=terminated | truncated,
            episode_end=ended,
            final_observation=self._final_observation if truncated.any() else None,
            final_rows=truncated,
            approximate=self._none,
            extra_stats=extra_stats,
        )

    def play_randomly(self, num_steps: Sequence[int], seed: int | None) -> dict[str, np.ndarray] | None:
        """See `AgentVector.play_randomly`."""
        if any(is_action_mask(key) for key in self.observation_space.spaces):
            return None
        seeds = self._seeds.derived_from(seed)
        for index, (env, steps) in enumerate(zip(self._envs, num_steps, strict=True)):
            env.action_space.seed(seeds[index])
            for _ in range(steps):
                observation, _, over, cut, _ = env.step(env.action_space.sample())
                if over or cut:
                    observation = env.reset()[0]
                self._store(self._observation, index, observation)
        return self._observation

    def render(self) -> np.ndarray | None:
        """See `AgentVector.render`."""
        return first_frame(self._envs[0].render())

    def close(self) -> None:
        """See `AgentVector.close`."""
        if not self._closed:
            self._closed = True
            for env in self._envs:
                env.close()

    def _store(self, arrays: dict[str, np.ndarray], index: int, observation: Any) -> None:
        # Assignment copies, and takes lists and arrays of any layout: the env may reuse its own array at once.
        if self._composite:
            for key, leaf in flatten_observation(self._raw_observation_space, observation).items():
                arrays[key][index] = leaf
        else:
            arrays[LONE_OBSERVATION][index] = observation

    def _check_step(self, result: Any) -> None:
        check_five(self.name, result)
        check_observation(self.name, self._raw_observation_space, result[0])
        check_reward(self.name, result[1])
