"""Sampling without env and policy: what is counted, and what a step of the framework itself may cost.

Time cannot be asserted on a machine that does other things; the number of calls can.
"""

import sys

import numpy as np
import pytest
from sf_bench.sampling import NUM_AGENTS, ROLLOUT, SamplingLoop, SamplingProcesses

STEPS = ROLLOUT + 1  # of a whole rollout, the last of which asks for no action
CALLS_PER_STEP = 95  # 81 with Python 3.11 and numpy 2.4
CALLS_PER_SLOT = 2.5  # when a rollout is handed over; two with Python 3.11


def calls_of(step, num_steps):
    """Calls of functions, Python's and C's, that so many `step()` make."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for _ in range(num_steps):
            step()
    finally:
        sys.setprofile(before)
    return calls


def test_a_rollout_is_counted_once_and_lies_in_the_buffers():
    loop = SamplingLoop(num_agents=8, splits=2)
    taken = sum(loop.step() for _ in range(STEPS))
    assert taken == 8 * ROLLOUT
    assert loop.buffers.valid[:4].all()  # slots are given back, so both groups used the lowest ones
    actions = loop.buffers.action["action"][:4]
    assert set(np.unique(actions)) == {0, 1}


def test_a_step_costs_the_same_few_calls_however_many_agents_take_it():
    few, many = SamplingLoop(num_agents=16), SamplingLoop(num_agents=NUM_AGENTS)
    whole = {}
    for loop in (few, many):
        for _ in range(STEPS):
            loop.step()  # what happens once
        whole[loop] = calls_of(loop.step, STEPS)
        loop.step()  # begins the next rollout
    assert calls_of(few.step, ROLLOUT - 1) == calls_of(many.step, ROLLOUT - 1) <= CALLS_PER_STEP * (ROLLOUT - 1)
    assert whole[many] - whole[few] <= CALLS_PER_SLOT * (NUM_AGENTS - 16)


@pytest.mark.skipif(sys.platform == "win32", reason="runs are serial there")
def test_worker_processes_sample_and_end():
    processes = SamplingProcesses(num_workers=2, splits=2, num_agents=16)
    try:
        assert sum(processes.step() for _ in range(100)) > 0
    finally:
        processes.close()
    assert [process.exitcode for process in processes.processes] == [0, 0]
