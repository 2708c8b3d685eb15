"""Environments whose every number is known beforehand, in every kind of interface.

In: what episodes should look like (`Script`). Out: envs whose observation is `(env_id, episode, step)`, so that any row
of any buffer says where it came from. numpy and gymnasium only. Not known here: policies, samplers, learners.

* `CountingEnv`: one Gymnasium env;
* `CountingVectorEnv`: the same as a native vector env, in each autoreset mode, with ALE's way of giving final
  observations (one full array) or Gymnasium's (an object array);
* `CountingMultiAgentEnv`: the same in the contract of lists, an env of its own behind each agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

End = Literal["terminated", "truncated", "both"]

HIGHEST = 1e6


@dataclass(frozen=True)
class Script:
    """What happens in each episode; the tuples are gone through again and again.

    Attributes:
        lengths: steps of the episodes, at least 1.
        ends: how they end; "both" sets both flags.
        lives_lost: steps (1 is the first) of every episode at which `infos["life_lost"]` is True.
        reward_step: how much a step's reward grows along an episode.
    """

    lengths: tuple[int, ...] = (3, 5, 4)
    ends: tuple[End, ...] = ("terminated", "truncated")
    lives_lost: tuple[int, ...] = ()
    reward_step: float = 0.25

    def length(self, env_id: int, episode: int) -> int:
        """Steps of an episode; envs are out of phase with each other."""
        return self.lengths[(env_id + episode) % len(self.lengths)]

    def end(self, env_id: int, episode: int) -> End:
        """How an episode ends."""
        return self.ends[(env_id + episode) % len(self.ends)]

    def reward(self, env_id: int, episode: int, step: int) -> float:
        """Reward of step `step` (1 is the first)."""
        return 1.0 + self.reward_step * step - 0.5 * (episode % 2) + 0.125 * env_id

    def episode_return(self, env_id: int, episode: int) -> float:
        """Sum of an episode's rewards."""
        return sum(self.reward(env_id, episode, step) for step in range(1, self.length(env_id, episode) + 1))


class CountingEnv(gym.Env[Any, Any]):
    """Counts: `observation = (env_id, episode, step)`, whatever the action.

    Args:
        env_id: the first number of every observation.
        script: what happens.
        dict_observation: return `{"count": (env_id, episode, step), "phase": step % 4}` instead.
        as_list: return a list of Python floats instead of an array.
        reuse_array: write every observation into the same array.
        action_space: Discrete(2) if not given.

    Attributes:
        seeds: every seed that `reset` was given.
        actions: every action that `step` was given.
    """

    def __init__(
        self,
        env_id: int = 0,
        script: Script | None = None,
        *,
        dict_observation: bool = False,
        as_list: bool = False,
        reuse_array: bool = False,
        action_space: spaces.Space[Any] | None = None,
    ) -> None:
        self.env_id = env_id
        self.script = script or Script()
        count = spaces.Box(0.0, HIGHEST, (3,), np.float32)
        self.observation_space: spaces.Space[Any] = (
            spaces.Dict({"count": count, "phase": spaces.Discrete(4)}) if dict_observation else count
        )
        self.action_space = action_space or spaces.Discrete(2)
        self.render_mode = "rgb_array"
        self.seeds: list[int | None] = []
        self.actions: list[Any] = []
        self.closed = False
        self._dict_observation = dict_observation
        self._as_list = as_list
        self._array = np.zeros(3, np.float32)
        self._reuse_array = reuse_array
        self._episode = -1
        self._step = 0
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next episode."""
        super().reset(seed=seed)
        self.seeds.append(seed)
        self._episode += 1
        self._step = 0
        self._over = False
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Count one step; stepping a finished episode is an error, as in any strict env."""
        assert not self._over, "step() after the end of an episode"
        self.actions.append(action)
        self._step += 1
        script = self.script
        info: dict[str, Any] = {}
        if script.lives_lost:
            info["life_lost"] = self._step in script.lives_lost
        terminated = truncated = False
        if self._step == script.length(self.env_id, self._episode):
            end = script.end(self.env_id, self._episode)
            terminated, truncated = end != "truncated", end != "terminated"
            self._over = True
            info["episode_extra_stats"] = {"episode_number": float(self._episode)}
            info["true_objective"] = 100.0 * self._episode
        reward = script.reward(self.env_id, self._episode, self._step)
        return self._observation(), reward, terminated, truncated, info

    def render(self) -> Any:
        """A grey picture that brightens with every step."""
        return np.full((8, 8, 3), self._step, np.uint8)

    def close(self) -> None:
        """Note that it happened."""
        self.closed = True

    def _observation(self) -> Any:
        array = self._array if self._reuse_array else np.zeros(3, np.float32)
        array[:] = (self.env_id, self._episode, self._step)
        count: Any = array.tolist() if self._as_list else array
        return {"count": count, "phase": self._step % 4} if self._dict_observation else count


class StuckEnv(CountingEnv):
    """Forbids every action in its third observation, and refuses to be stepped after it."""

    def __init__(self) -> None:
        super().__init__(0, Script(lengths=(100,)))
        self.observation_space = spaces.Dict(obs=self.observation_space, action_mask=spaces.MultiBinary(2))

    def _observation(self) -> Any:
        return {"obs": super()._observation(), "action_mask": np.full(2, self._step != 2, np.int8)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """See `CountingEnv`."""
        assert self._step != 2, "an env may refuse what it forbids"
        return super().step(action)


class CountingVectorEnv(VectorEnv[Any, Any, Any]):
    """`CountingEnv`s as one native vector env.

    Args:
        num_envs: how many; their ids are `first_env_id`, `first_env_id + 1`, ...
        autoreset_mode: who resets, and when.
        script: what happens in all of them.
        final_obs: how SAME_STEP gives final observations: one full array as ALE, an object array with a mask as
            Gymnasium, or not at all.
        seed_form: which form of `reset(seed=...)` is taken: a list (Gymnasium), an array (ALE), one int (others).
        int_reward: give rewards as int32 (ALE).
        reuse_arrays: write every observation into the same array.

    Attributes:
        envs: the single envs inside.
    """

    def __init__(
        self,
        num_envs: int,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        script: Script | None = None,
        *,
        first_env_id: int = 0,
        final_obs: Literal["full", "object", "none"] = "full",
        seed_form: Literal["list", "array", "int"] = "array",
        int_reward: bool = False,
        reuse_arrays: bool = False,
        dict_observation: bool = False,
    ) -> None:
        self.num_envs = num_envs
        self.autoreset_mode = autoreset_mode
        self.metadata = {"autoreset_mode": autoreset_mode}
        self.render_mode = None
        self.envs = [
            CountingEnv(first_env_id + index, script, dict_observation=dict_observation) for index in range(num_envs)
        ]
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.seeds: list[Any] = []
        self._final_obs = final_obs
        self._seed_form = seed_form
        self._int_reward = int_reward
        self._reuse_arrays = reuse_arrays
        self._array = np.zeros((num_envs, 3), np.float32)
        self._current: list[Any] = [None] * num_envs
        self._over = np.zeros(num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset all envs, or those of `options["reset_mask"]`."""
        forms: dict[str, Any] = {"list": list, "array": np.ndarray, "int": int}
        expected = forms[self._seed_form]
        if seed is not None and not isinstance(seed, expected):
            raise TypeError("Unsupported seed type")
        mask = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        self.seeds.append(seed)
        for index in np.flatnonzero(mask):
            one: Any = seed + index if isinstance(seed, int) else None if seed is None else seed[index]
            self._current[index], _ = self.envs[index].reset(seed=None if one is None else int(one))
            self._over[index] = False
        return self._batch(self._current), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step in each env; what an end leads to depends on the autoreset mode."""
        assert len(actions) == self.num_envs
        reward = np.zeros(self.num_envs, np.float64)
        terminated = np.zeros(self.num_envs, bool)
        truncated = np.zeros(self.num_envs, bool)
        infos: dict[str, Any] = {}
        final_infos: dict[str, Any] = {}
        finals: list[Any] = [None] * self.num_envs
        for index, env in enumerate(self.envs):
            if self.autoreset_mode is AutoresetMode.NEXT_STEP and self._over[index]:
                self._current[index], _ = env.reset()
                continue
            self._current[index], reward[index], terminated[index], truncated[index], info = env.step(actions[index])
            if (terminated[index] or truncated[index]) and self.autoreset_mode is AutoresetMode.SAME_STEP:
                finals[index] = self._current[index]
                final_infos = self._add_info(final_infos, info, index)
                self._current[index], info = env.reset()
            infos = self._add_info(infos, info, index)
        self._over = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._over.any():
            infos["final_info"], infos["_final_info"] = final_infos, self._over.copy()
            self._add_final_observations(infos, finals)
        if self._int_reward:
            reward = reward.astype(np.int32)
        return self._batch(self._current), reward, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Close the single envs."""
        for env in self.envs:
            env.close()

    def _add_final_observations(self, infos: dict[str, Any], finals: list[Any]) -> None:
        if self._final_obs == "object":
            array = np.full(self.num_envs, None, dtype=object)
            for index, final in enumerate(finals):
                array[index] = final
            infos["final_obs"], infos["_final_obs"] = array, self._over.copy()
        elif self._final_obs == "full":
            filled = [current if final is None else final for final, current in zip(finals, self._current, strict=True)]
            infos["final_obs"] = self._batch(filled, reuse=False)

    def _batch(self, observations: Sequence[Any], reuse: bool = True) -> Any:
        if isinstance(observations[0], Mapping):
            return {key: np.stack([one[key] for one in observations]) for key in observations[0]}
        if self._reuse_arrays and reuse:
            self._array[:] = observations
            return self._array
        return np.stack(observations)


class CountingMultiAgentEnv:
    """`num_agents` counting envs as one env in the contract of lists; each agent's part resets when it is done.

    Args:
        num_agents: how many agents; agent `k` counts as env `first_env_id + k`.
        script: what happens to each.
        inactive: (agent, first step, last step) counted over all steps: it sits these steps out.
    """

    def __init__(
        self,
        num_agents: int = 2,
        script: Script | None = None,
        *,
        first_env_id: int = 0,
        inactive: tuple[int, int, int] | None = None,
    ) -> None:
        self.num_agents = num_agents
        self.is_multiagent = True
        self.agents = [CountingEnv(first_env_id + agent, script) for agent in range(num_agents)]
        self.observation_space = self.agents[0].observation_space
        self.action_space = self.agents[0].action_space
        self.render_mode: str | None = None
        self.seeds: list[int | None] = []
        self.closed = False
        self._inactive = inactive
        self._step = 0

    def reset(self, *, seed: int | None = None, **kwargs: Any) -> tuple[list[Any], list[dict[str, Any]]]:
        """Start an episode for every agent."""
        self.seeds.append(seed)
        self._step = 0
        observations = [agent.reset(seed=seed)[0] for agent in self.agents]
        return observations, [self._info(agent, {}) for agent in range(self.num_agents)]

    def step(self, actions: Sequence[Any]) -> tuple[list[Any], list[float], list[bool], list[bool], list[Any]]:
        """One step of every agent that is active."""
        assert len(actions) == self.num_agents
        self._step += 1
        results = [self._step_agent(index, action) for index, action in enumerate(actions)]
        observations, rewards, terminated, truncated, infos = zip(*results, strict=True)
        return list(observations), list(rewards), list(terminated), list(truncated), list(infos)

    def render(self) -> Any:
        """No picture."""
        return None

    def close(self) -> None:
        """Note that it happened."""
        self.closed = True

    def _step_agent(self, index: int, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        agent = self.agents[index]
        if self._sits_out(index, self._step):
            return agent._observation(), 0.0, False, False, self._info(index, {})
        observation, reward, terminated, truncated, info = agent.step(action)
        if terminated or truncated:
            observation, _ = agent.reset()
        return observation, reward, terminated, truncated, self._info(index, info)

    def _info(self, index: int, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, "is_active": not self._sits_out(index, self._step + 1)}

    def _sits_out(self, index: int, step: int) -> bool:
        return (
            self._inactive is not None
            and self._inactive[0] == index
            and (self._inactive[1] <= step <= self._inactive[2])
        )


def make_counting_env(
    full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None, **params: Any
) -> CountingEnv:
    """An env factory: `--env=py:sf_core.testing.fakes:make_counting_env`."""
    return CountingEnv(env_config.env_id, **params)


def make_counting_vector_env(
    full_env_name: str, cfg: Any, env_configs: Sequence[Any], render_mode: str | None = None, **params: Any
) -> CountingVectorEnv:
    """A vector factory of the same env."""
    return CountingVectorEnv(len(env_configs), first_env_id=env_configs[0].env_id, **params)
