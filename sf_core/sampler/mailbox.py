"""What a request to inference consists of, where both sides see it: one row for each agent.

In: an `InferenceRequest` of a group. Out: the same request, in another process. What travels besides is `MESSAGE`,
eight bytes that say which group stands at which row; everything else lies here or in the rollout buffers. A group has
one request under way at a time, so nothing is overwritten before it was answered. Not known here: how messages travel.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from sf_core.sampler.messages import InferenceRequest

MESSAGE = struct.Struct("<ii")  # group, t; the answer repeats both
READ_SIZE = MESSAGE.size * 4096  # bytes: whole messages

_NO_ROWS = np.zeros(0, np.int64)


class Mailbox:
    """Slots and flags of every agent.

    Attributes:
        slots: `[N]` int64, written by the rollout worker when a rollout begins.
        final: `[N]` bool, the step before truncated and a final observation is known.
        approximate: `[N]` bool, the same, but none is known.
    """

    def __init__(self, allocate: Callable[[str, tuple[int, ...], np.dtype[Any]], np.ndarray], num_agents: int) -> None:
        self.slots = allocate("mailbox/slots", (num_agents,), np.dtype(np.int64))
        self.final = allocate("mailbox/final", (num_agents,), np.dtype(bool))
        self.approximate = allocate("mailbox/approximate", (num_agents,), np.dtype(bool))

    def post(self, request: InferenceRequest, agents: slice) -> None:
        """Write a request of the group that has `agents`."""
        if request.t == 0:
            self.slots[agents] = request.slots
        for flags, rows in (
            (self.final[agents], request.final_rows),
            (self.approximate[agents], request.approximate_rows),
        ):
            flags[:] = False
            if len(rows):
                flags[rows] = True

    def read(self, group: int, t: int, agents: slice, agent_numbers: np.ndarray) -> InferenceRequest:
        """The request that was written there."""
        final, approximate = self.final[agents], self.approximate[agents]
        return InferenceRequest(
            group_index=group,
            slots=self.slots[agents].copy(),
            agents=agent_numbers,
            t=t,
            final_rows=np.flatnonzero(final) if final.any() else _NO_ROWS,
            approximate_rows=np.flatnonzero(approximate) if approximate.any() else _NO_ROWS,
        )
