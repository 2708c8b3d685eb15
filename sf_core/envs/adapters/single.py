"""Single Gymnasium environments, stepped one after the other, as one vector of agents.

In: a list of `gymnasium.Env` with the same spaces. Out: `TimeStep`s in which an env that ended has already been reset;
where it was truncated, the observation it left behind is kept. On request it notes what happens, so that new copies of
the envs can be brought to the same place (`episode_history.py`). Not known here: who made the envs, who acts in them.

The loop over `env.step` is all the Python there is per env and step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from sf_core.envs.adapters.common import observation_arrays, reset_env, stats_of, tell_whose
from sf_core.envs.adapters.episode_history import EpisodeHistory, SavedEpisodes, actions_of, digest, prepare_replay
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
        self._history: EpisodeHistory | None = None

    def keep_history(self) -> None:
        """From the next reset on, note what `saved_episodes` needs."""
        self._history = EpisodeHistory(self._envs)

    def mark(self) -> None:
        """The present moment is the one that `saved_episodes` describes."""
        if self._history is not None:
            self._history.mark(self._observation)

    def saved_episodes(self) -> SavedEpisodes | None:
        """The episodes all envs were in at the last mark; None where they are not known, or too long to be kept."""
        return None if self._history is None else self._history.saved(self.action_space)

    def play_again(self, saved: SavedEpisodes) -> dict[str, np.ndarray]:
        """Bring the envs, which nobody has reset so far, to where those were of which `saved` tells.

        Returns:
            What to act on next, key -> `[N, *space]`.

        Raises:
            ValueError: an env did not end up where it had been; all of them have to be reset.
        """
        if len(saved.facts) != self.num_envs:
            raise ValueError(f"there were {len(saved.facts)} envs and are {self.num_envs}")
        actions = actions_of(saved)
        longest = max(len(taken) for taken in actions)
        for index, (facts, taken) in enumerate(zip(saved.facts, actions, strict=True)):
            env = self._envs[index]
            prepare_replay(env, facts, saved.arrays)
            self._training_info = facts["training_info"]
            self._tell(index)
            self._note_start(index, facts["seed"], longest - len(taken))
            observation = reset_env(env, facts["seed"])[0]
            alone = self.action_space.from_jsonable(facts["played"])
            for action in alone:
                self._note_alone(index, action)
            together = [action_rows(self.action_space, self._decoded(one))[0] for one in taken]
            for action in (*alone, *together):
                observation, _, over, cut, _ = env.step(action)
                if over or cut:
                    raise ValueError(f"the episode of env {index} ended earlier than it had")
            self._store(self._observation, index, observation)
            if digest(self._observation, index) != facts["observation"]:
                raise ValueError(f"env {index} is not where it was after the same actions")
        if self._history is not None:
            self._history.acts_again(actions)
        return self._observation

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        num_agents = self.num_agents
        reward = np.zeros(num_agents, np.float32)
        terminated = np.zeros(num_agents, bool)
        truncated = np.zeros(num_agents, bool)
        ended = np.zeros(num_agents, bool)
        extra_stats: dict[int, dict[str, float]] = {}
        rows = action_rows(self.action_space, self._decoded(actions))
        if self._history is not None:
            self._history.acts(actions)
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
                    self._note_start(index, None)
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
        action = env.action_space.sample()
        self._note_alone(index, action)
        observation, _, over, cut, _ = env.step(action)
        if over or cut:
            self._note_start(index, None)
            observation = env.reset()[0]
        self._store(self._observation, index, observation)

    def _resets(self, index: int, seed: int | None) -> None:
        self._note_start(index, seed)

    def _decoded(self, actions: Mapping[str, np.ndarray]) -> Any:
        return decode_action(self.action_space, actions, batched=True)

    def _note_start(self, index: int, seed: int | None, first_step: int | None = None) -> None:
        if self._history is not None:
            self._history.begins(index, seed, self._training_info, first_step)

    def _note_alone(self, index: int, action: Any) -> None:
        if self._history is not None:
            self._history.plays(index, action)

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
