"""PettingZoo environments in the contract of lists, so that `MultiAgentEnvs` can step them.

In: a `ParallelEnv`, in which all agents act at once, or an `AECEnv`, in which they take turns. Out: an env with a fixed
number of agents, those of `possible_agents`, that resets itself when the last one is gone. PettingZoo itself is not
imported: its two interfaces are told apart by their attributes. Not known here: who acts.

Agents come and go: one that is not in `agents`, or whose turn it is not, is inactive. Its row ends once, with the step
in which it terminated or was truncated; the observation that step left behind is its final one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sf_core.envs.timestep import FINAL_OBSERVATION, IS_ACTIVE
from sf_core.utils.errors import UsageError

Result = tuple[list[Any], list[float], list[bool], list[bool], list[dict[str, Any]]]


def is_pettingzoo_env(env: Any) -> bool:
    """Whether `env` has agents by name, each with a space of its own."""
    return hasattr(env, "possible_agents") and callable(getattr(env, "observation_space", None))


def as_lists(env: Any, name: str) -> PettingZooLists:
    """The adapter for this kind of PettingZoo env.

    Raises:
        UsageError: its agents have different spaces, or it has none.
    """
    return TurnLists(env, name) if hasattr(env, "agent_selection") or hasattr(env, "last") else ParallelLists(env, name)


class PettingZooLists:
    """What both kinds share: names of agents, spaces, and a step that is taken apart by name."""

    is_multiagent = True

    def __init__(self, env: Any, name: str) -> None:
        self.env = env
        self.agents: list[Any] = list(env.possible_agents)
        if not self.agents:
            raise UsageError(f"env {name!r} has no possible_agents; the number of agents must be known beforehand")
        self.num_agents = len(self.agents)
        self.observation_space = self._common(env.observation_space, "observation", name)
        self.action_space = self._common(env.action_space, "action", name)
        self.metadata: dict[str, Any] = getattr(env, "metadata", None) or {}
        self.render_mode: str | None = getattr(getattr(env, "unwrapped", env), "render_mode", None)

    def reset(self, *, seed: int | None = None) -> tuple[list[Any], list[dict[str, Any]]]:
        """First observations, None for agents that do not act yet."""
        self._reset(seed)
        return self._observations(), [{IS_ACTIVE: self._acts(agent)} for agent in self.agents]

    def step(self, actions: Sequence[Any]) -> Result:
        """One step; whoever is inactive is not asked."""
        rewards, terminated, truncated, infos, final = self._step(dict(zip(self.agents, actions, strict=True)))
        if not self.env.agents:
            self._reset(None)
        agents = self.agents
        all_infos = [
            {**(infos.get(agent) or {}), IS_ACTIVE: self._acts(agent), FINAL_OBSERVATION: final.get(agent)}
            for agent in agents
        ]
        return (
            self._observations(),
            [float(rewards.get(agent, 0.0)) for agent in agents],
            [bool(terminated.get(agent, False)) for agent in agents],
            [bool(truncated.get(agent, False)) for agent in agents],
            all_infos,
        )

    def render(self) -> Any:
        """What the env draws."""
        return self.env.render()

    def close(self) -> None:
        """Close the env."""
        self.env.close()

    def _common(self, space_of: Any, what: str, name: str) -> Any:
        spaces = {agent: space_of(agent) for agent in self.agents}
        first = spaces[self.agents[0]]
        for agent, space in spaces.items():
            if space != first:
                raise UsageError(
                    f"env {name!r}: agent {agent!r} has another {what} space than agent {self.agents[0]!r}; one policy "
                    "needs one space, so pad them (SuperSuit's pad_observations_v0, pad_action_space_v0)"
                )
        return first

    def _reset(self, seed: int | None) -> None:
        raise NotImplementedError

    def _step(self, actions: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], ...]:
        """Rewards, terminations, truncations, infos and final observations by agent, of those they concern."""
        raise NotImplementedError

    def _acts(self, agent: Any) -> bool:
        raise NotImplementedError

    def _observations(self) -> list[Any]:
        raise NotImplementedError


class ParallelLists(PettingZooLists):
    """A `pettingzoo.ParallelEnv`."""

    def _reset(self, seed: int | None) -> None:
        self._current: Mapping[Any, Any] = self.env.reset(seed=seed)[0]

    def _step(self, actions: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], ...]:
        acting = list(self.env.agents)
        self._current, rewards, terminated, truncated, infos = self.env.step(
            {agent: actions[agent] for agent in acting}
        )
        final = {agent: self._current.get(agent) for agent in acting if terminated.get(agent) or truncated.get(agent)}
        return rewards, terminated, truncated, infos, final

    def _acts(self, agent: Any) -> bool:
        return agent in self.env.agents

    def _observations(self) -> list[Any]:
        return [self._current.get(agent) if self._acts(agent) else None for agent in self.agents]


class TurnLists(PettingZooLists):
    """A `pettingzoo.AECEnv`: one agent acts in a step, and rewards come to everybody at any time."""

    def _reset(self, seed: int | None) -> None:
        self.env.reset(seed=seed)
        self._leave_the_dead()

    def _step(self, actions: Mapping[Any, Any]) -> tuple[Mapping[Any, Any], ...]:
        env = self.env
        gone = {agent for agent in env.agents if env.terminations[agent] or env.truncations[agent]}
        env.step(actions[env.agent_selection])
        rewards = dict(env.rewards)
        ended = [
            agent for agent in env.agents if agent not in gone and (env.terminations[agent] or env.truncations[agent])
        ]
        terminated = {agent: env.terminations[agent] for agent in ended}
        truncated = {agent: env.truncations[agent] for agent in ended}
        final = {agent: env.observe(agent) for agent in ended if truncated[agent]}
        infos = {agent: env.infos.get(agent, {}) for agent in self.agents}
        self._leave_the_dead()
        return rewards, terminated, truncated, infos, final

    def _leave_the_dead(self) -> None:
        """Agents that are done have to be stepped once more, with no action, before they are gone."""
        env = self.env
        while env.agents and (env.terminations[env.agent_selection] or env.truncations[env.agent_selection]):
            env.step(None)

    def _acts(self, agent: Any) -> bool:
        return bool(self.env.agents) and agent == self.env.agent_selection

    def _observations(self) -> list[Any]:
        return [self.env.observe(agent) if self._acts(agent) else None for agent in self.agents]
