"""What is gathered for a report: speeds are those of training, whatever comes after it."""

import math
from types import SimpleNamespace

import pytest

from sf_core.learner.sample_counts import SampleCounts
from sf_core.runner.reports import progress
from sf_core.runner.reports.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now_s)
    return clock


def test_waiting_for_an_evaluation_does_not_make_a_run_slow(clock):
    learner = SimpleNamespace(env_steps=0, agent_steps=0, policy_version=0)
    run = Progress(learner, window=10, frame_skip=1)
    assert math.isnan(run.report({}).fps[0])
    for _ in range(5):
        clock.now_s += 1
        learner.env_steps += 400
        run.add_collected((), 100)
        run.add_iteration({}, SampleCounts())
        run.report({})
    run.training_ended()
    clock.now_s += 60
    report = run.report({})
    assert (report.fps[0], report.sample_throughput, report.seconds) == (400.0, 100.0, 5.0)
    assert run.session_fps == 400.0


def test_a_run_that_was_never_reported_on_has_a_speed_in_the_end(clock):
    run = Progress(SimpleNamespace(env_steps=0, agent_steps=0, policy_version=0), window=10, frame_skip=1)
    clock.now_s += 2
    run.add_collected((), 100)
    run.training_ended()
    run.training_ended()
    clock.now_s += 60
    assert run.report({}).sample_throughput == 50.0
