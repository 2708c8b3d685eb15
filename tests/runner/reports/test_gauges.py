"""Memory and pace of the processes, under Sample Factory's names."""

import numpy as np
import pytest

from sf_core.runner.processes.vitals import LEARNER, Pulse, Vitals
from sf_core.runner.reports import gauges
from sf_core.runner.reports.gauges import Gauges, memory_of_one_process

MB = 2**20


@pytest.fixture
def vitals():
    """Of a learner, two inference processes and two workers."""
    return Vitals(lambda path, shape, dtype: np.zeros(shape, dtype), 5)


def test_memory_is_the_mean_over_the_processes_of_a_kind(vitals):
    vitals.memory_bytes[:] = [300 * MB, 200 * MB, 400 * MB, 40 * MB, 60 * MB]
    vitals.device_bytes[LEARNER] = [100 * MB, 150 * MB]
    read = Gauges(vitals, 2).read()
    assert read.pop("master_process_memory_mb") > 10
    assert read == {
        "memory_learner": 300.0,
        "memory_policy_worker": 300.0,
        "memory_rollout_worker": 50.0,
        "gpu_mem_learner": 100.0,
        "gpu_cache_learner": 150.0,  # the inference processes have not measured theirs
    }


def test_pace_is_that_of_the_time_since_it_was_last_looked_at(vitals, monkeypatch):
    monkeypatch.setattr(gauges, "_PACE_OVER_S", 0.0)
    measured = Gauges(vitals, 2)
    assert "step_policy" not in measured.read()
    for passes in (10, 30):  # the second time it is the difference that counts
        vitals.passes[1:3] += passes
        vitals.requests[1:3] += 4 * passes
        vitals.busy_s[1:3] += passes * 0.5
        vitals.waiting_s[1:3] += passes * 0.25
        read = measured.read()
        assert (read["avg_request_count"], read["step_policy"], read["wait_policy"]) == (4.0, 0.5, 0.25)
    assert measured.read()["step_policy"] == 0.5  # nothing happened since: the last known


def test_every_process_measures_itself(vitals):
    pulse = Pulse(vitals, 1, lambda: (3 * MB, 4 * MB))
    pulse.worked()
    assert vitals.memory_bytes[1] > 10 * MB
    assert list(vitals.device_bytes[1]) == [3 * MB, 4 * MB]


def test_a_run_in_one_process_has_one_memory():
    assert memory_of_one_process((0, 0)).keys() == {"master_process_memory_mb"}
    assert memory_of_one_process((MB, 2 * MB))["gpu_cache_learner"] == 2.0
