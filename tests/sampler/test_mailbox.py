"""A request that goes through the mailbox comes out as it went in."""

import numpy as np

from sf_core.rollout.buffers import allocate_numpy
from sf_core.sampler.mailbox import MESSAGE, Mailbox
from sf_core.sampler.messages import InferenceRequest


def test_a_request_comes_out_as_it_went_in_and_flags_do_not_stay():
    mailbox = Mailbox(allocate_numpy, 5)
    agents, numbers = slice(2, 5), np.arange(2, 5)

    def through(t, slots, final, approximate):
        sent = InferenceRequest(1, np.array(slots), numbers, t, np.array(final, int), np.array(approximate, int))
        mailbox.post(sent, agents)
        ((group, row),) = MESSAGE.iter_unpack(MESSAGE.pack(1, t))
        return mailbox.read(group, row, agents, numbers)

    first = through(0, [7, 8, 3], [], [])
    assert (first.group_index, first.t, first.slots.tolist()) == (1, 0, [7, 8, 3])
    second = through(1, [7, 8, 3], [0, 2], [1])
    assert (second.final_rows.tolist(), second.approximate_rows.tolist()) == ([0, 2], [1])
    third = through(2, [7, 8, 3], [], [])
    assert (len(third.final_rows), len(third.approximate_rows)) == (0, 0)
    assert third.slots.tolist() == [7, 8, 3]
    assert mailbox.slots[:2].tolist() == [0, 0]  # nobody else's rows
