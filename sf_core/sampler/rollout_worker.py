"""The rollout worker: one step of the sampling loop, for each of its env groups.

In: slots to fill, and that row `t` has been answered. Out: requests to inference, finished episodes. In one process the
runner calls it; in a process of its own a loop around it does. Not known here: the policy, the queue of slots, how
requests travel.

A rollout of a group is `begin` (row 0 is asked for), then `advance(0)` to `advance(T - 1)`, each after its row was
answered. The last request has `t == T`: answering it completes the rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from sf_core.sampler.messages import FinishedEpisode

RequestT = TypeVar("RequestT")
_RequestT = TypeVar("_RequestT", covariant=True)


class Group(Protocol[_RequestT]):
    """Agents stepped together: `EnvGroup` over arrays, `TensorGroup` over tensors; what they ask inference differs."""

    num_agents: int
    late_rewards: int

    def reset(self, seed: int | Sequence[int] | None = None) -> None:
        """Start new episodes everywhere."""

    def begin_rollout(self, slots: np.ndarray, env_steps: int = 0) -> None:
        """From here on rows are written to `slots`; writes row 0. `env_steps` says how far training is."""

    def step(self, t: int) -> None:
        """Act as row `t` of `action` says; writes row `t`, and row `t + 1` of what is acted on next."""

    def request(self, group_index: int, t: int) -> _RequestT:
        """What to ask inference now that row `t` of what is acted on is written."""

    def finished_episodes(self) -> list[FinishedEpisode]:
        """Episodes that ended since the last call."""

    def close(self) -> None:
        """Close the envs."""


class RolloutWorker(Generic[RequestT]):
    """Steps one or several env groups, each at its own place in its own rollout."""

    def __init__(self, groups: Sequence[Group[RequestT]]) -> None:
        self.groups = tuple(groups)

    @property
    def num_agents(self) -> int:
        """Agents of all groups."""
        return sum(group.num_agents for group in self.groups)

    @property
    def late_rewards(self) -> int:
        """Rewards so far that came while an agent sat out, a rollout later than its last action: nobody has them."""
        return sum(group.late_rewards for group in self.groups)

    def reset(self, seed: int | None = None) -> None:
        """Start new episodes in every group; each env's seed follows from `seed` and its number in the run.

        None stands for the seed the envs were built with.
        """
        for group in self.groups:
            group.reset(seed)

    def begin(self, group_index: int, slots: np.ndarray, env_steps: int = 0) -> RequestT:
        """Start a rollout of a group in `slots` (one for each of its agents); `env_steps` says how far training is."""
        group = self.groups[group_index]
        group.begin_rollout(slots, env_steps)
        return group.request(group_index, 0)

    def advance(self, group_index: int, t: int) -> RequestT:
        """Take step `t` of a group, whose actions are in the buffers by now."""
        group = self.groups[group_index]
        group.step(t)
        return group.request(group_index, t + 1)

    def finished_episodes(self) -> list[FinishedEpisode]:
        """Episodes that ended since the last call, in every group."""
        return [episode for group in self.groups for episode in group.finished_episodes()]

    def close(self) -> None:
        """Close all envs."""
        for group in self.groups:
            group.close()
