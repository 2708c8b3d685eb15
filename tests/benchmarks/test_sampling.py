"""Sampling without env and policy: what is counted, and what a step of the framework itself may cost.

Time cannot be asserted on a machine that does other things; the number of calls can.
"""

import sys

import numpy as np
import pytest
from sf_bench.sampling import NUM_AGENTS, ROLLOUT, SamplingLoop, SamplingProcesses

STEPS = ROLLOUT + 1  # of a whole rollout, the last of which asks for no action
CALLS_PER_STEP = 110  # 90 with numpy 2.4; a call per agent would make it thousands


def calls_per_step(step, num_steps):
    """Calls of functions, Python's and C's, that one `step()` makes on average."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    step()  # what happens once
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for _ in range(num_steps):
            step()
    finally:
        sys.setprofile(before)
    return calls / num_steps


def test_a_rollout_is_counted_once_and_lies_in_the_buffers():
    loop = SamplingLoop(num_agents=8, splits=2)
    taken = sum(loop.step() for _ in range(STEPS))
    assert taken == 8 * ROLLOUT
    assert loop.buffers.valid[:4].all()  # slots are given back, so both groups used the lowest ones
    actions = loop.buffers.action["action"][:4]
    assert set(np.unique(actions)) == {0, 1}


def test_a_step_costs_the_same_number_of_calls_however_many_agents_take_it():
    few, many = (calls_per_step(SamplingLoop(num_agents=number).step, STEPS) for number in (16, NUM_AGENTS))
    # the slots of a rollout are handed over one by one, once per rollout
    handing_over = (NUM_AGENTS - 16) * 4 / STEPS
    assert many <= few + handing_over
    assert few <= CALLS_PER_STEP


@pytest.mark.skipif(sys.platform == "win32", reason="runs are serial there")
def test_worker_processes_sample_and_end():
    processes = SamplingProcesses(num_workers=2, splits=2, num_agents=16)
    try:
        assert sum(processes.step() for _ in range(100)) > 0
    finally:
        processes.close()
    assert [process.exitcode for process in processes.processes] == [0, 0]
