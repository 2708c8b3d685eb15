"""Environments with several agents each, in Sample Factory's contract of lists, as one vector of agents.

In: envs with `num_agents`, whose `reset` and `step` return lists with an entry for each agent, and which reset an
agent themselves when it is done. Out: `TimeStep`s with a row for each agent. Not known here: which policy plays whom.

Such an env returns the first observation of the next episode where one ended and discards the last one of the old, so
a truncated episode is `approximate`. `infos[agent]["is_active"] = False` says that the agent sits out the next step;
it must still return an observation for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from sf_core.envs.adapters.common import first_frame, observation_arrays, render_fps, reset_env, stats_of
from sf_core.envs.checks import check_five, check_length, check_observation, check_pair, check_reward, flat_spaces
from sf_core.envs.seeding import SeedSource
from sf_core.envs.spaces import LONE_OBSERVATION, action_rows, decode_action, flatten_observation, is_action_mask
from sf_core.envs.timestep import LIFE_LOST, TimeStep
from sf_core.utils.errors import UsageError


class MultiAgentEnvs:
    """`AgentVector` over multi-agent envs; the agents of env 0 come first."""

    def __init__(
        self, envs: Sequence[Any], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        self._envs = list(envs)
        self._seeds = SeedSource(len(self._envs), seed, first_env_id)
        self._raw_observation_space = self._envs[0].observation_space
        self.name = name
        self.num_envs = len(self._envs)
        self.agents_per_env = int(self._envs[0].num_agents)
        self.num_agents = self.num_envs * self.agents_per_env
        self.observation_space = flat_spaces(name, self._raw_observation_space)
        self.action_space = self._envs[0].action_space
        self.render_mode: str | None = getattr(self._envs[0], "render_mode", None)
        self.render_fps = render_fps(self._envs[0])
        counts = sorted({int(env.num_agents) for env in self._envs})
        if len(counts) > 1:
            raise UsageError(f"env {name!r}: its copies have {counts} agents; every copy must have the same number")
        self._composite = isinstance(self._raw_observation_space, spaces.Dict | spaces.Tuple)
        self._observation = observation_arrays(self.observation_space, self.num_agents)
        self._active = np.ones(self.num_agents, bool)  # who acts in the next step
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
            self._check_observations(result[0])
            first = index * self.agents_per_env
            self._store(first, result[0])
            self._note_active(first, result[1])
        return self._observation

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        reward = np.zeros(self.num_agents, np.float32)
        over = np.zeros(self.num_agents, bool)
        cut = np.zeros(self.num_agents, bool)
        lost = np.zeros(self.num_agents, bool)
        extra_stats: dict[int, dict[str, float]] = {}
        active = self._active.copy()
        rows = action_rows(self.action_space, decode_action(self.action_space, actions, batched=True))
        for index, env in enumerate(self._envs):
            first = index * self.agents_per_env
            agents = slice(first, first + self.agents_per_env)
            result = env.step(rows[agents])
            if not self._checked_step:
                self._check_step(result)
            observations, reward[agents], over[agents], cut[agents], infos = result
            self._store(first, observations)
            self._note_active(first, infos)
            for row, info in enumerate(infos, first):
                if info:
                    lost[row] = info.get(LIFE_LOST, False)
                    if over[row] or cut[row]:
                        stats = stats_of(info)
                        if stats:
                            extra_stats[row] = stats
        self._checked_step = True
        terminated = over | lost
        truncated = cut & ~terminated  # terminated wins: a terminal state has value 0
        return TimeStep(
            observation=self._observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=self._all,
            active=active,
            episode_start=terminated | truncated,
            episode_end=over | cut,
            final_observation=None,
            final_rows=self._none,
            approximate=truncated,
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
                actions = [env.action_space.sample() for _ in range(self.agents_per_env)]
                observations, _, _, _, infos = env.step(actions)
                self._store(index * self.agents_per_env, observations)
                self._note_active(index * self.agents_per_env, infos)
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

    def _store(self, first: int, observations: Sequence[Any]) -> None:
        if not self._composite:
            self._observation[LONE_OBSERVATION][first : first + self.agents_per_env] = observations
            return
        for row, observation in enumerate(observations, first):
            for key, leaf in flatten_observation(self._raw_observation_space, observation).items():
                self._observation[key][row] = leaf

    def _note_active(self, first: int, infos: Any) -> None:
        if isinstance(infos, Mapping) or len(infos) == 0:  # reset may return a plain dict: everybody acts
            self._active[first : first + self.agents_per_env] = True
            return
        for row, info in enumerate(infos, first):
            self._active[row] = info.get("is_active", True) if info else True

    def _check_observations(self, observations: Any) -> None:
        check_length(self.name, "observations", observations, self.agents_per_env)
        for observation in observations:
            check_observation(self.name, self._raw_observation_space, observation)

    def _check_step(self, result: Any) -> None:
        check_five(self.name, result)
        self._check_observations(result[0])
        check_reward(self.name, result[1], self.agents_per_env)
        for what, values in (("terminated", result[2]), ("truncated", result[3]), ("infos", result[4])):
            if isinstance(values, Mapping):
                raise UsageError(
                    f"env {self.name!r} returned a dict as {what}; return a list, one entry for each agent"
                )
            check_length(self.name, what, values, self.agents_per_env)
