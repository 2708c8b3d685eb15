"""Whose turn it is: which env groups wait for slots, which hold some, and what happens to those of a broken rollout.

In: places of groups, the table of slots, what became of a rollout. Out: slots to fill. Sends no message and knows no
process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sf_core.rollout.slots import SlotState, SlotTable
from sf_core.runner.layout import GroupPlace


class Turns:
    """Slots for groups in the order in which they began to wait.

    Args:
        groups: by number.
        slots: of the run.
        rounds: how often a group may fill slots per dataset (synchronous); None as often as there are free ones.
    """

    def __init__(self, groups: Sequence[GroupPlace], slots: SlotTable, rounds: int | None) -> None:
        self._groups = groups
        self._slots = slots
        self._rounds = rounds
        self._waiting: list[int] = []  # longest first
        self._held: dict[int, np.ndarray] = {}  # group -> slots it fills
        self._rounds_begun = [0] * len(groups)

    @property
    def num_waiting(self) -> int:
        """Groups that wait for slots."""
        return len(self._waiting)

    def grants(self) -> Iterator[tuple[GroupPlace, np.ndarray]]:
        """Free slots for those that have waited longest, as far as they go; a large group is passed by."""
        for group in list(self._waiting):
            place = self._groups[group]
            in_turn = self._rounds is None or self._rounds_begun[group] < self._rounds
            if in_turn and self._slots.count(SlotState.FREE) >= place.num_agents:
                self._waiting.remove(group)
                self._rounds_begun[group] += 1
                self._held[group] = slots = self._slots.claim(place.num_agents)
                yield place, slots

    def worker_is_up(self, worker: int) -> None:
        """Its groups can fill slots."""
        self._waiting += self._groups_of(worker)

    def filled(self, group: int) -> int:
        """A rollout is complete: its slots wait for the learner, its group for others. Returns how many slots."""
        slots = self._held.pop(group)
        self._slots.submit(slots)
        self._waiting.append(group)
        return len(slots)

    def broken_off(self, group: int) -> int:
        """Nothing of its rollout will be read; its envs were built anew, and it waits again. Returns how many slots."""
        self._waiting.append(group)
        return self._give_up(group)

    def worker_is_gone(self, worker: int) -> None:
        """Its groups wait no more. The slots they hold are theirs until nobody writes for it (`reclaim`)."""
        gone = set(self._groups_of(worker))
        self._waiting = [group for group in self._waiting if group not in gone]

    def reclaim(self, worker: int) -> int:
        """Take back the slots of a worker that is gone. Returns how many."""
        return sum(self._give_up(group) for group in self._groups_of(worker))

    def next_dataset(self) -> None:
        """The learner is done with one: everybody's rounds begin anew."""
        self._rounds_begun = [0] * len(self._groups)

    def _groups_of(self, worker: int) -> Iterable[int]:
        return [place.group for place in self._groups if place.worker == worker]

    def _give_up(self, group: int) -> int:
        slots = self._held.pop(group, None)
        if slots is None:
            return 0
        self._slots.discard(slots)
        self._rounds_begun[group] -= 1
        return len(slots)
