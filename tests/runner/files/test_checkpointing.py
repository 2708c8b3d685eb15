"""When a run saves."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from sf_core.cfg.arguments import default_cfg
from sf_core.runner.files import checkpointing
from sf_core.runner.files.checkpointing import CheckpointSchedule
from sf_core.runner.processes.messages import Restored, Saved
from sf_core.runner.reports.statistics import EpisodeStatistics


class FakeLearner:
    def __init__(self):
        self.policy_version = self.env_steps = self.agent_steps = 0
        self.requests = []
        self.disk_full = False
        self.restored = None

    def restore(self):
        return self.restored

    def save(self, request, done):
        self.requests.append(request)
        done(Saved(None if self.disk_full else Path(request.kind), self.policy_version))

    def wait_for_saves(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: clock.now)
    return clock


class Run:
    """A schedule, and what happens around it; every iteration takes a second and is 1000 env steps."""

    def __init__(self, clock, **values):
        self.clock = clock
        self.learner = FakeLearner()
        self.schedule = CheckpointSchedule(default_cfg(**values), self.learner, lambda: {"samples_trained": 7})
        self.episodes = EpisodeStatistics(window=1)

    def iterations(self, number, reward=None):
        """What was saved after each of them."""
        kinds = []
        for _ in range(number):
            self.clock.now += 1
            self.learner.policy_version += 1
            self.learner.env_steps += 1000
            if reward is not None:
                self.episodes.add([SimpleNamespace(reward=reward, length=1, extra_stats={})])
            before = len(self.learner.requests)
            self.schedule.after_iteration(self.episodes, 0.0, lambda path: None)
            kinds.append([request.kind for request in self.learner.requests[before:]])
        return kinds


def test_the_newest_state_is_saved_every_so_many_seconds_and_milestones_beside_it(clock):
    run = Run(clock, save_every_sec=3, save_milestones_sec=4)
    assert run.iterations(8) == [[], [], ["latest"], ["milestone"], [], ["latest"], [], ["milestone"]]


def test_a_run_that_is_continued_often_has_milestones_too(clock):
    run = Run(clock, save_milestones_sec=10)
    run.learner.restored = Restored(Path("x"), 5, 27.5, None, {}, {}, exact_so_far=True)  # the last one after 20 s
    assert run.schedule.restore()
    assert [index + 1 for index, kinds in enumerate(run.iterations(15)) if kinds] == [3, 13]


def test_milestones_are_off_unless_asked_for(clock):
    assert not any("milestone" in kinds for kinds in Run(clock, save_every_sec=1).iterations(500))


def test_the_best_is_saved_where_it_is_better_by_more_than_a_thousandth(clock):
    run = Run(clock, save_best_every_sec=1, save_best_after=0)
    assert run.iterations(1) == [[]]  # no episode has ended
    assert run.iterations(2, reward=1.0) == [["best"], []]
    assert run.iterations(1, reward=1.0005) == [[]]
    assert run.iterations(1, reward=1.01) == [["best"]]
    assert run.iterations(1, reward=0.5) == [[]]
    assert [request.value for request in run.learner.requests] == [1.0, 1.01]
    assert run.learner.requests[-1].facts["best_performance"] == 1.01


def test_the_best_is_looked_at_every_so_many_seconds_after_so_many_env_steps_and_at_the_end(clock):
    run = Run(clock, save_best_every_sec=3, save_best_after=4000)
    assert run.iterations(6, reward=1.0) == [[], [], [], [], [], ["best"]]
    run.iterations(1, reward=2.0)
    run.schedule.save_at_end(run.episodes, 0.0, lambda path: None)
    assert [request.kind for request in run.learner.requests] == ["best", "best", "latest"]
    assert run.schedule.is_saved


def test_a_metric_that_no_episode_reports_is_one_warning_with_those_there_are(clock, caplog):
    run = Run(clock, save_best_every_sec=1, save_best_after=3000, save_best_metric="rewrad")
    assert run.iterations(2, reward=1.0) == [[], []]
    assert not caplog.text
    assert run.iterations(4, reward=1.0) == [[]] * 4
    assert [record.message for record in caplog.records] == [
        "No episode has reported rewrad so far (--save_best_metric), so no checkpoint is the best; "
        "there are reward, len."
    ]
    caplog.clear()
    of_evaluations = {"save_best_metric": "eval_reward", "eval_every_env_steps": 1000}
    assert not any(Run(clock, save_best_after=0, **of_evaluations).iterations(9, reward=1.0))
    assert not caplog.text


def test_what_a_full_disk_refused_is_tried_again(clock):
    run = Run(clock, save_best_every_sec=1, save_best_after=0, save_every_sec=2)
    run.learner.disk_full = True
    assert run.iterations(2, reward=1.0) == [["best"], ["best", "latest"]]
    assert (run.schedule.newest, run.schedule.is_saved) == (None, False)
    run.learner.disk_full = False
    assert run.iterations(2, reward=1.0) == [["best"], ["latest"]]
    assert run.schedule.newest == Path("latest")


def test_the_same_state_is_not_saved_twice(clock):
    run = Run(clock, save_every_sec=1)
    run.iterations(1)
    run.schedule.save_at_end(run.episodes, 0.0, lambda path: None)
    assert [request.kind for request in run.learner.requests] == ["latest"]


@pytest.mark.parametrize(("saved", "best"), [(None, -math.inf), (0.0, 0.0), (-3.5, -3.5)])
def test_what_was_best_and_counted_comes_back(clock, saved, best):
    run = Run(clock, save_best_every_sec=1, save_best_after=0)
    run.learner.restored = Restored(Path("x"), 5, 60.0, saved, {}, {"samples_trained": 3}, exact_so_far=True)
    assert run.schedule.restore()
    assert (run.schedule.counters, run.schedule.seconds) == ({"samples_trained": 3}, 60.0)
    assert run.schedule.resumed_exactly is True
    reward = -5.0 if math.isinf(best) else best + 0.0005
    assert run.iterations(1, reward=reward) == [["best"] if math.isinf(best) else []]


def test_a_checkpoint_says_what_the_run_knows(clock):
    run = Run(clock, save_every_sec=1)
    run.iterations(1, reward=1.0)
    facts = run.learner.requests[0].facts
    assert facts["counters"] == {"samples_trained": 7}
    assert facts["resumed_exactly"] is None
    assert facts["episodes"]["count"] == 1
