"""Environments with several agents each, in Sample Factory's contract of lists, as one vector of agents.

In: envs with `num_agents`, whose `reset` and `step` return lists with an entry for each agent, and which reset an
agent themselves when it is done. Out: `TimeStep`s with a row for each agent. Not known here: which policy plays whom.

Such an env returns the first observation of the next episode where one ended and discards the last one of the old, so
a truncated episode is `approximate`, unless `infos[agent]["final_observation"]` keeps it.

`infos[agent]["is_active"] = False` says that the agent sits out the next step. Its observation may be None then, which
leaves the last one standing, and whatever the policy says, its action is the one it took last (choice zero, or 0.0, if
it has taken none in this episode).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sf_core.envs.adapters.common import observation_arrays, stats_of, tell_whose
from sf_core.envs.adapters.listed import ListedEnvs
from sf_core.envs.checks import check_five, check_length, check_observation, check_reward
from sf_core.envs.env_utils import num_agents_of
from sf_core.envs.spaces import LONE_OBSERVATION, action_parts, action_rows, decode_action, flatten_observation
from sf_core.envs.timestep import FINAL_OBSERVATION, IS_ACTIVE, LIFE_LOST, TimeStep
from sf_core.utils.errors import UsageError


class MultiAgentEnvs(ListedEnvs):
    """`AgentVector` over multi-agent envs; the agents of env 0 come first."""

    def __init__(
        self, envs: Sequence[Any], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        counts = sorted({num_agents_of(env) for env in envs})
        if len(counts) > 1:
            raise UsageError(f"env {name!r}: its copies have {counts} agents; every copy must have the same number")
        super().__init__(envs, counts[0], name=name, seed=seed, first_env_id=first_env_id)
        self._final_observation = observation_arrays(self.observation_space, self.num_agents)
        self._unplayed = np.ones(self.num_agents, bool)  # who has taken no step in the present episode
        # of the episode each agent is in, as stored
        self._last_action: Mapping[str, np.ndarray] = {
            part.name: np.zeros((self.num_agents, *part.shape), part.dtype) for part in action_parts(self.action_space)
        }

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        reward = np.zeros(self.num_agents, np.float32)
        over = np.zeros(self.num_agents, bool)
        cut = np.zeros(self.num_agents, bool)
        lost = np.zeros(self.num_agents, bool)
        known = self._none
        extra_stats: dict[int, dict[str, float]] = {}
        active = self.active.copy()
        if not active.all():
            actions = _where(active, actions, self._last_action)
        rows = action_rows(self.action_space, decode_action(self.action_space, actions, batched=True))
        index = 0
        try:
            for index, env in enumerate(self._envs):
                first = index * self.agents_per_env
                agents = slice(first, first + self.agents_per_env)
                result = env.step(rows[agents])
                if not self._checked_step:
                    self._check_step(result)
                observations, reward[agents], over[agents], cut[agents], infos = result
                self._note_active(first, infos)
                self._store(first, observations)
                if over[agents].any() or cut[agents].any():
                    self._tell(index)
                for row, info in enumerate(infos, first):
                    if info:
                        lost[row] = info.get(LIFE_LOST, False)
                        if over[row] or cut[row]:
                            stats = stats_of(info)
                            if stats:
                                extra_stats[row] = stats
                            if info.get(FINAL_OBSERVATION) is not None:
                                known = known.copy() if known is self._none else known
                                known[row] = True
                                self._store_row(self._final_observation, row, info[FINAL_OBSERVATION])
        except Exception as error:
            first = index * self.agents_per_env
            tell_whose(error, self._seeds, [index], rows[first : first + self.agents_per_env])
            raise
        self._checked_step = True
        ended = over | cut
        self._last_action = _where(~ended, actions, None) if ended.any() else actions
        self._unplayed = (self._unplayed & ~active) | ended
        terminated = over | lost
        truncated = cut & ~terminated  # terminated wins: a terminal state has value 0
        final_rows = truncated & known
        return TimeStep(
            observation=self._observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=self._all,
            active=active,
            episode_start=terminated | truncated | self._unplayed,
            episode_end=ended,
            final_observation=self._final_observation if final_rows.any() else None,
            final_rows=final_rows,
            approximate=truncated & ~known,
            extra_stats=extra_stats,
        )

    def _begin(self, index: int, observation: Any, info: Any) -> None:
        first = index * self.agents_per_env
        self._unplayed[first : first + self.agents_per_env] = True
        self._last_action = {part: np.zeros_like(rows) for part, rows in self._last_action.items()}
        if not isinstance(info, Mapping) and len(info):
            check_length(self.name, "infos", info, self.agents_per_env)
        self._note_active(first, info)
        self._check_observations(observation)
        self._store(first, observation)

    def _play(self, index: int) -> None:
        env, first = self._envs[index], index * self.agents_per_env
        observations, _, _, _, infos = env.step([env.action_space.sample() for _ in range(self.agents_per_env)])
        self._note_active(first, infos)
        self._store(first, observations)

    def _store(self, first: int, observations: Sequence[Any]) -> None:
        if not self._composite and not any(observation is None for observation in observations):
            self._observation[LONE_OBSERVATION][first : first + self.agents_per_env] = observations
            return
        for row, observation in enumerate(observations, first):
            if observation is not None:
                self._store_row(self._observation, row, observation)
            elif self.active[row]:
                raise UsageError(
                    f"env {self.name!r} returned no observation for agent {row - first}, which is to act next; return "
                    "one, or set is_active to False in its info"
                )

    def _store_row(self, arrays: dict[str, np.ndarray], row: int, observation: Any) -> None:
        for key, leaf in flatten_observation(self._raw_observation_space, observation).items():
            arrays[key][row] = leaf

    def _note_active(self, first: int, infos: Any) -> None:
        if isinstance(infos, Mapping) or len(infos) == 0:  # reset may return a plain dict: everybody acts
            self.active[first : first + self.agents_per_env] = True
            return
        for row, info in enumerate(infos, first):
            self.active[row] = info.get(IS_ACTIVE, True) if info else True

    def _check_observations(self, observations: Any) -> None:
        self._check_list("observations", observations)
        check_length(self.name, "observations", observations, self.agents_per_env)
        for observation in observations:
            if observation is not None:
                check_observation(self.name, self._raw_observation_space, observation)

    def _check_step(self, result: Any) -> None:
        check_five(self.name, result)
        self._check_observations(result[0])
        check_reward(self.name, result[1], self.agents_per_env)
        for what, values in (("terminated", result[2]), ("truncated", result[3]), ("infos", result[4])):
            self._check_list(what, values)
            check_length(self.name, what, values, self.agents_per_env)

    def _check_list(self, what: str, values: Any) -> None:
        if isinstance(values, Mapping):
            raise UsageError(f"env {self.name!r} returned a dict as {what}; return a list, one entry for each agent")


def _where(
    chosen: np.ndarray, actions: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """`{part: [N, *part]}` with the rows of `actions` where `chosen` `[N]`, and those of `others` (zeros) elsewhere."""
    return {
        part: np.where(
            chosen.reshape(-1, *[1] * (rows.ndim - 1)), rows, rows.dtype.type(0) if others is None else others[part]
        )
        for part, rows in actions.items()
    }
