"""Which episodes of an evaluation count, and what they come to.

In: how many episodes are wanted, and those that end anywhere. Out: an `Evaluation`. Knows neither policies nor
environments.

Waiting for the first N episodes that end in any of several environments counts too many short ones, since these end
first: a policy that falls at once half of the time and otherwise balances for long would seem to fall nearly always.
So it is decided beforehand which episodes count: of every environment its first ones, their number differing by one at
most. How long an episode lasts then has no say in whether it counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sf_core.envs.seeding import env_seeds
from sf_core.sampler.messages import FinishedEpisode


@dataclass(frozen=True)
class Episode:
    """What one agent did in one episode.

    Attributes:
        env: number of its environment among those of the evaluation.
        agent: number of the agent within its environment.
        number: how many episodes this agent had played in this environment before.
        seed: the environment was reset with it before its first episode; the later ones go on from there.
        reward: undiscounted sum of what the environment paid.
        length: steps the agent took.
        extra_stats: what the environment reported, `true_objective` included.
    """

    env: int
    agent: int
    number: int
    seed: int
    reward: float
    length: int
    extra_stats: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """Episodes and their statistics, in the order of environments, episodes and agents."""

    episodes: Sequence[Episode] = ()

    @property
    def rewards(self) -> np.ndarray:
        """Return of each episode of each agent, `[N]`."""
        return np.array([episode.reward for episode in self.episodes], np.float64)

    @property
    def lengths(self) -> np.ndarray:
        """Length of each, `[N]`, in agent steps."""
        return np.array([episode.length for episode in self.episodes], np.int64)

    @property
    def extra_stats(self) -> dict[str, float]:
        """Mean of each statistic that the environment reported, over the episodes in which it did."""
        reported: dict[str, list[float]] = {}
        for episode in self.episodes:
            for name, value in episode.extra_stats.items():
                reported.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in sorted(reported.items())}

    def of_agent(self, agent: int) -> Evaluation:
        """The episodes of one agent of every environment."""
        return Evaluation([episode for episode in self.episodes if episode.agent == agent])

    @property
    def agents(self) -> list[int]:
        """The agents of an environment that played."""
        return sorted({episode.agent for episode in self.episodes})

    @property
    def rewards_of_games(self) -> np.ndarray:
        """Mean return of the agents that played together, `[G]`: these depend on each other, games do not."""
        games: dict[tuple[int, int], list[float]] = {}
        for episode in self.episodes:
            games.setdefault((episode.env, episode.number), []).append(episode.reward)
        return np.array([np.mean(rewards) for rewards in games.values()], np.float64)

    def summary(self) -> dict[str, Any]:
        """Mean, standard deviation (of the population), standard error of the mean, extremes; how many episodes.

        The episodes of several agents are counted once, as games; the statistics are over all agents. The standard
        error is that of games, s / sqrt(G) with the sample deviation s; NaN for one game, which has none.
        """
        rewards, of_games = self.rewards, self.rewards_of_games
        num_games = len(of_games)
        return {
            "reward_mean": float(rewards.mean()),
            "reward_std": float(rewards.std()),
            "reward_sem": float(of_games.std(ddof=1) / np.sqrt(num_games)) if num_games > 1 else math.nan,
            "reward_min": float(rewards.min()),
            "reward_max": float(rewards.max()),
            "length_mean": float(self.lengths.mean()),
            "episodes": max(len(self.of_agent(agent).episodes) for agent in self.agents),
        }


def quotas(num_episodes: int, num_envs: int) -> np.ndarray:
    """How many of its first episodes each env contributes, `[E]`. They differ by at most one and add up."""
    return np.full(num_envs, num_episodes // num_envs) + (np.arange(num_envs) < num_episodes % num_envs)


class Counting:
    """Takes the episodes that count out of those that end.

    Args:
        num_episodes: of all envs together; games, where several agents play together.
        num_envs: envs that play.
        agents_per_env: rows that each of them has.
        seed: the envs' own seeds follow from it.
    """

    def __init__(self, num_episodes: int, num_envs: int, agents_per_env: int, seed: int) -> None:
        self._left = np.repeat(quotas(num_episodes, num_envs), agents_per_env)  # [N] of each agent of each env
        self._number = np.zeros(len(self._left), np.int64)
        self._acted = np.zeros(len(self._left), bool)
        self._agents_per_env = agents_per_env
        self._seeds = env_seeds(seed, num_envs)
        self._counted: list[Episode] = []

    def note_acting(self, active: np.ndarray, agents: slice = slice(None)) -> None:
        """Which of these agents (all) act in a step, `[N]` bool."""
        self._acted[agents] |= active

    def add(self, finished: Iterable[FinishedEpisode]) -> list[Episode]:
        """Count episodes that ended; returns those that count. Of one agent they come in their order."""
        counted = []
        for episode in finished:
            if self._left[episode.agent] > 0:
                self._left[episode.agent] -= 1
                env, agent = divmod(episode.agent, self._agents_per_env)
                counted.append(
                    Episode(
                        env=env,
                        agent=agent,
                        number=int(self._number[episode.agent]),
                        seed=self._seeds[env],
                        reward=episode.reward,
                        length=episode.length,
                        extra_stats=dict(episode.extra_stats),
                    )
                )
                self._number[episode.agent] += 1
        self._counted += counted
        return counted

    def is_complete(self, agents: slice = slice(None)) -> bool:
        """Whether these agents (all) have played what is wanted of them.

        One that has never acted is not waited for once the others of its environment are done: there may be room for
        more agents than ever come.
        """
        acted = self._acted.reshape(-1, self._agents_per_env)
        expected = (acted | ~acted.any(1, keepdims=True)).reshape(-1)  # all of them, before anybody has acted
        return not self._left[agents][expected[agents]].any()

    def evaluation(self) -> Evaluation:
        """What was counted so far."""
        return Evaluation(sorted(self._counted, key=lambda episode: (episode.env, episode.number, episode.agent)))
