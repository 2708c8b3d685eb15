import math
from dataclasses import dataclass, field

import pytest

from sf_core.runner.reports.evaluations import Evaluated
from sf_core.runner.reports.statistics import EpisodeStatistics, RateMeter, Spread


@dataclass
class Ended:
    reward: float
    length: int
    extra_stats: dict = field(default_factory=dict)


def test_means_run_over_the_last_episodes_only():
    stats = EpisodeStatistics(window=2)
    stats.add([Ended(1, 10), Ended(2, 20), Ended(4, 40)])
    assert stats.num_episodes == 3
    assert stats.mean("reward") == 3.0  # (2 + 4) / 2
    assert stats.spreads() == {"reward": Spread(3.0, 2.0, 4.0), "len": Spread(30.0, 20.0, 40.0)}


def test_lengths_count_simulated_frames():
    stats = EpisodeStatistics(window=5, frame_skip=4)
    stats.add([Ended(0, 25)])
    assert stats.mean("len") == 100.0


def test_extra_stats_are_averaged_over_the_episodes_that_have_them():
    stats = EpisodeStatistics(window=5)
    stats.add([Ended(0, 1, {"kills": 3.0}), Ended(0, 1), Ended(0, 1, {"kills": 5.0})])
    assert stats.mean("kills") == 4.0


def test_an_env_that_reports_a_reward_or_len_of_its_own_does_not_change_ours():
    stats = EpisodeStatistics(window=5)
    stats.add([Ended(1, 10, {"reward": 99.0, "len": 1.0}), Ended(3, 30)])
    assert (stats.mean("reward"), stats.mean("len")) == (2.0, 20.0)
    result = {f"reward_{name}": 1.0 for name in ("mean", "std", "min", "max")}
    result |= {"length_mean": 7.0, "extra_stats": {"reward": 99.0, "len": 1.0, "kills": 2.0}}
    scalars = Evaluated(100, result).scalars()
    assert (scalars["eval/reward"], scalars["eval/len"], scalars["eval/kills"]) == (1.0, 7.0, 2.0)


def test_there_is_no_mean_before_the_first_episode():
    assert math.isnan(EpisodeStatistics(window=5).mean("reward"))


def test_rates_cover_their_own_window():
    meter = RateMeter(windows_s=(10.0, 60.0))
    for second in range(101):  # 100 steps/s for 90 s, then 300 steps/s for the last 10 s
        meter.record(float(second), 100 * min(second, 90) + 300 * max(0, second - 90))
    last_10s, last_60s = meter.rates()
    assert last_10s == pytest.approx(300.0)
    assert last_60s == pytest.approx((50 * 100 + 10 * 300) / 60)


def test_a_rate_needs_two_points():
    meter = RateMeter()
    meter.record(1.0, 100)
    assert all(math.isnan(rate) for rate in meter.rates())


def test_a_step_longer_than_the_window_still_has_a_rate():
    meter = RateMeter(windows_s=(10.0,))
    meter.record(0.0, 0)
    meter.record(100.0, 500)
    assert meter.rates() == (5.0,)


def test_points_that_no_window_reaches_are_forgotten():
    meter = RateMeter(windows_s=(10.0,))
    for second in range(10_000):
        meter.record(float(second), second)
    assert len(meter._points) < 20
