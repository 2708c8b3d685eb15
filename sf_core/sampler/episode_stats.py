"""Return and length of the episode each agent is in, counted here and not by the env.

In: every `TimeStep` of a group. Out: a `FinishedEpisode` for each episode that ended. Rewards are taken as the env gave
them, also those that come while an agent sits out; rows that only reset count for nothing, steps an agent sat out do
not make its episode longer; a lost life does not end an episode.
Not known here: scaling and clipping, what becomes of the statistics.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sf_core.envs.timestep import TimeStep
from sf_core.sampler.messages import FinishedEpisode


class EpisodeStats:
    """Running sums for the agents of one group, agent `first_agent` in row 0."""

    def __init__(self, num_agents: int, first_agent: int = 0, policy_id: int = 0) -> None:
        self._first_agent = first_agent
        self._policy_id = policy_id
        self._return = np.zeros(num_agents, np.float64)
        self._length = np.zeros(num_agents, np.int64)
        self._whole = np.ones(num_agents, bool)

    def update(self, step: TimeStep) -> list[FinishedEpisode]:
        """Count one step; returns the whole episodes it ended (one in which no step was taken is not reported)."""
        self._return += np.where(step.valid, step.reward, 0.0)
        self._length += step.valid & step.active
        if not step.episode_end.any():
            return []
        finished = []
        for row in np.flatnonzero(step.episode_end):
            if self._length[row] > 0 and self._whole[row]:
                finished.append(
                    FinishedEpisode(
                        agent=self._first_agent + int(row),
                        policy_id=self._policy_id,
                        reward=float(self._return[row]),
                        length=int(self._length[row]),
                        extra_stats=step.extra_stats.get(int(row), {}),
                    )
                )
        self._return[step.episode_end] = 0.0
        self._length[step.episode_end] = 0
        self._whole[step.episode_end] = True
        return finished

    def begin_midway(self, rows: np.ndarray) -> None:
        """The episodes now in progress in these rows (`[N]` bool) began unseen: they are not reported."""
        self._whole = ~rows

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the sums so far, `[N]` each."""
        return {"return": self._return.copy(), "length": self._length.copy(), "whole": self._whole.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Put back what `state` returned."""
        self._return[:] = state["return"]
        self._length[:] = state["length"]
        self._whole[:] = state["whole"]

    def reset(self) -> None:
        """Forget the episodes in progress (their envs were reset from outside)."""
        self._return[:] = 0.0
        self._length[:] = 0
        self._whole[:] = True
