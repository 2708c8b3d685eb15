import json
import logging
import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sf_core.learner.sample_counts import LagSpread
from sf_core.runner.files.run_folder import RunFolder
from sf_core.runner.reports.statistics import Spread
from sf_core.runner.reports.summaries import Report, SummaryWriter


def report(**changes):
    values = {
        "policy_id": 0,
        "env_steps": 640,
        "agent_steps": 160,
        "policy_version": 3,
        "seconds": 1.5,
        "fps": (400.0, math.nan, math.nan),
        "episodes": 2,
        "spreads": {"reward": Spread(2.0, 1.0, 3.0), "len": Spread(80.0, 40.0, 120.0), "kills": Spread(1.0, 0.0, 2.0)},
        "training": {"train/loss": 0.5, "train/lr": 1e-4},
        "time_s": {"env": 1.0, "learner": 0.5},
        "recent_time_s": {"env": 0.3, "learner": 0.1},
        "sample_throughput": 110.0,
        "gauges": {"memory_learner": 300.0},
    }
    return Report(**(values | changes))


def test_tags_are_sample_factorys():
    assert report().scalars() == {
        "perf/_fps": 400.0,
        "perf/_sample_throughput": 110.0,  # what was collected, trained on or not
        "reward/reward": 2.0,
        "reward/reward_min": 1.0,
        "reward/reward_max": 3.0,
        "len/len": 80.0,
        "len/len_min": 40.0,
        "len/len_max": 120.0,
        "policy_stats/avg_kills": 1.0,
        "policy_stats/avg_true_objective": 2.0,  # the return stands in
        "policy_stats/avg_true_objective_min": 1.0,
        "policy_stats/avg_true_objective_max": 3.0,
        "train/loss": 0.5,
        "train/lr": 1e-4,
        "time/env": pytest.approx(0.75),  # of the time since the last summary
        "time/learner": pytest.approx(0.25),
        "stats/memory_learner": 300.0,
    }


def test_an_objective_of_the_envs_own_has_its_bounds():
    tags = report(spreads={"reward": Spread(2.0, 1.0, 3.0), "true_objective": Spread(5.0, 4.0, 6.0)}).scalars()
    names = ("avg_true_objective", "avg_true_objective_min", "avg_true_objective_max")
    assert [tags[f"policy_stats/{name}"] for name in names] == [5.0, 4.0, 6.0]


def test_a_statistic_with_a_slash_makes_its_own_group():
    assert report(spreads={"doom/frags": Spread(1.0, 1.0, 1.0)}).scalars()["doom/frags"] == 1.0


def test_every_report_is_a_flushed_line_and_tensorboard_scalars_at_env_steps(tmp_path):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    writer = SummaryWriter(folder, policy_id=0, flush_interval_s=30)
    writer.write(report())
    line = json.loads(folder.metrics.read_text())  # before the writer is closed
    writer.write(report(env_steps=1280, spreads={}))
    writer.close()

    assert line["env_steps"] == 640
    assert line["agent_steps"] == 160
    assert line["reward_mean"] == 2.0
    assert line["episode_length_mean"] == 80.0
    assert line["loss"] == 0.5
    assert line["kills"] == 1.0
    assert line["time"] == {"env": 1.0, "learner": 0.5}
    second = json.loads(folder.metrics.read_text().splitlines()[1])
    assert second["reward_mean"] is None  # no episode has ended: not zero, and valid JSON

    events = EventAccumulator(str(folder.summaries(0)))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward/reward")] == [(640, 2.0)]
    assert [event.step for event in events.Scalars("train/loss")] == [640, 1280]


class SmallDisk:
    """A file on a disk that takes half of what is written while it is full."""

    def __init__(self, file):
        self.file, self.full = file, False

    def write(self, data):
        return self.file.write(data[: len(data) // 2] if self.full else data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_is_one_warning_and_reports_go_on_when_there_is_room_again(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    writer = SummaryWriter(folder, policy_id=0, flush_interval_s=30)
    writer._metrics = disk = SmallDisk(writer._metrics)
    writer.write(report(env_steps=1))
    disk.full = True
    writer.write(report(env_steps=2))
    writer.write(report(env_steps=3))
    disk.full = False
    writer._events.flush()
    writer._events._async_writer._worker.exception = OSError(28, "No space left on device")  # it never recovers
    writer.write(report(env_steps=4))
    writer.write(report(env_steps=5))
    writer.close()
    assert [json.loads(line)["env_steps"] for line in folder.metrics.read_text().splitlines()] == [1, 4, 5]
    events = EventAccumulator(str(folder.summaries(0)))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 5]
    assert [record.message for record in caplog.records if record.name == "sf_core"] == [
        "Metrics cannot be written (No space left on device); training goes on without them.",
        "Metrics are written again.",
    ]


def test_the_policy_lag_is_written_with_its_histogram(tmp_path):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    writer = SummaryWriter(folder, policy_id=0, flush_interval_s=30)
    writer.write(report(policy_lag=LagSpread.of({1: 30, 2: 10, 5: 10})))
    writer.write(report(policy_lag=LagSpread.of({0: 1, 100_000: 1})))  # hundreds of buckets, not a hundred thousand
    writer.write(report())
    writer.close()
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    # (30 + 20 + 50) / 50
    assert lines[0]["policy_lag"] == {"min": 1, "mean": 2.0, "max": 5, "histogram": {"1": 30, "2": 10, "5": 10}}
    assert lines[2]["policy_lag"] == {"min": None, "mean": None, "max": None, "histogram": {}}
    events = EventAccumulator(str(folder.summaries(0)), size_guidance={"histograms": 0})
    events.Reload()
    first, wide = (event.histogram_value for event in events.Histograms("train/policy_lag"))
    assert (first.min, first.max, first.num, first.sum, first.sum_squares) == (1, 5, 50, 100, 30 + 40 + 250)
    assert list(first.bucket_limit) == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert list(first.bucket) == [0, 30, 10, 0, 0, 10]
    assert len(wide.bucket) <= 202
    assert sum(wide.bucket) == 2
