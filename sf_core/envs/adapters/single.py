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

from sf_core.envs.adapters.common import observation_arrays, stats_of, tell_whose
from sf_core.envs.adapters.listed import ListedEnvs
from sf_core.envs.checks import check_five, check_observation, check_reward
from sf_core.envs.spaces import LONE_OBSERVATION, action_rows, decode_action, flatten_observation
from sf_core.envs.timestep import LIFE_LOST, TimeStep


class SingleEnvs(ListedEnvs):
    """`AgentVector` over single envs, one agent each."""

    def __init__(
        self, envs: Sequence[gym.Env[Any, Any]], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        super().__init__(envs, 1, name=name, seed=seed, first_env_id=first_env_id)
        self._final_observation = observation_arrays(self.observation_space, self.num_agents)

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        num_agents = self.num_agents
        reward = np.zeros(num_agents, np.float32)
        terminated = np.zeros(num_agents, bool)
        truncated = np.zeros(num_agents, bool)
        ended = np.zeros(num_agents, bool)
        extra_stats: dict[int, dict[str, float]] = {}
        rows = action_rows(self.action_space, decode_action(self.action_space, actions, batched=True))
        index = 0
        try:
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
                    self._tell(index)
                    observation = env.reset()[0]
                self._store(self._observation, index, observation)
        except Exception as error:
            tell_whose(error, self._seeds, [index], rows[index])
            raise
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

    def _begin(self, index: int, observation: Any, info: Any) -> None:
        check_observation(self.name, self._raw_observation_space, observation)
        self._store(self._observation, index, observation)

    def _play(self, index: int) -> None:
        env = self._envs[index]
        observation, _, over, cut, _ = env.step(env.action_space.sample())
        self._store(self._observation, index, env.reset()[0] if over or cut else observation)

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
