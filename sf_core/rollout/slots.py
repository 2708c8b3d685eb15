"""Which slot is whose: FREE -> FILLING -> READY -> TAKEN -> FREE.

In: requests to claim, submit, take and release slots. Out: slot numbers. A slot has one owner at a time: nobody while
FREE, the rollout worker (and the inference that answers it) while FILLING, the queue while READY, the learner while
TAKEN. Any other step is a mistake in the program and raises. Not known here: what is in a slot.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

import numpy as np


class SlotState(IntEnum):
    """Where a slot is on its round."""

    FREE = 0
    FILLING = 1
    READY = 2
    TAKEN = 3


class SlotError(RuntimeError):
    """A slot was asked to make a step that its state does not allow."""


class SlotTable:
    """The state of every slot, and the order in which filled ones wait."""

    def __init__(self, num_slots: int) -> None:
        self._state = np.full(num_slots, SlotState.FREE, np.int8)
        self._ready: deque[int] = deque()

    def claim(self, num_slots: int) -> np.ndarray:
        """Take free slots for filling: the lowest ones, so that they are contiguous when possible.

        Returns:
            slot numbers `[num_slots]`, int64, ascending.

        Raises:
            SlotError: fewer are free (ask `count(SlotState.FREE)` first).
        """
        free = np.flatnonzero(self._state == SlotState.FREE)
        if len(free) < num_slots:
            raise SlotError(f"{num_slots} slots asked for, {len(free)} are FREE")
        slots = free[:num_slots].astype(np.int64)
        self._state[slots] = SlotState.FILLING
        return slots

    def submit(self, slots: np.ndarray) -> None:
        """Filled slots join the queue, in the order given."""
        self._move(slots, SlotState.FILLING, SlotState.READY)
        self._ready.extend(int(slot) for slot in slots)

    def take(self, num_slots: int) -> np.ndarray:
        """The slots that have waited longest, for the learner to read.

        Returns:
            slot numbers `[num_slots]`, int64, in the order they were submitted.

        Raises:
            SlotError: fewer are waiting (ask `count(SlotState.READY)` first).
        """
        if len(self._ready) < num_slots:
            raise SlotError(f"{num_slots} slots asked for, {len(self._ready)} are READY")
        slots = np.asarray([self._ready.popleft() for _ in range(num_slots)], np.int64)
        self._move(slots, SlotState.READY, SlotState.TAKEN)
        return slots

    def release(self, slots: np.ndarray) -> None:
        """The batch has left these slots: they may be filled again."""
        self._move(slots, SlotState.TAKEN, SlotState.FREE)

    def discard(self, slots: np.ndarray) -> None:
        """Give up slots whose filling was broken off: nothing in them is ever read."""
        self._move(slots, SlotState.FILLING, SlotState.FREE)

    def count(self, state: SlotState) -> int:
        """How many slots are in a state."""
        return int(np.count_nonzero(self._state == state))

    def state_of(self, slot: int) -> SlotState:
        """The state of one slot."""
        return SlotState(int(self._state[slot]))

    def _move(self, slots: np.ndarray, source: SlotState, target: SlotState) -> None:
        slots = np.asarray(slots, np.int64)
        if len(np.unique(slots)) != len(slots):
            raise SlotError(f"a slot is named twice in {slots.tolist()}")
        wrong = slots[self._state[slots] != source]
        if len(wrong):
            found = self.state_of(int(wrong[0])).name
            raise SlotError(f"slot {int(wrong[0])} is {found}; only a {source.name} slot can become {target.name}")
        self._state[slots] = target


def as_index(slots: np.ndarray) -> slice | np.ndarray:
    """The cheapest index for these rows: a slice (views, no gather) when they are contiguous and ascending."""
    if len(slots) and int(slots[-1]) - int(slots[0]) == len(slots) - 1 and bool((slots[1:] > slots[:-1]).all()):
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots
