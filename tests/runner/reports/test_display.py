import io
import logging
import math

import pytest
from rich.console import Console

from sf_core.cfg.config import Config
from sf_core.learner.sample_counts import LagSpread
from sf_core.runner.reports.display import (
    LiveDisplay,
    PlainDisplay,
    breakdown,
    data_line,
    duration,
    make_display,
    number,
    progress,
    shares,
    so_far,
    sparkline,
    speeds,
    stats_line,
)
from sf_core.runner.reports.statistics import Spread
from sf_core.runner.reports.summaries import Report
from sf_core.utils.log import log


def without_handlers_of_the_test_runner(monkeypatch):
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(log, "handlers", [])


def cfg(**values):
    defaults = {"env": "CartPole-v1", "experiment": "exp", "train_for_env_steps": 1000, "train_for_seconds": 10**10}
    return Config(defaults | values)


def report(**changes):
    values = {
        "policy_id": 0,
        "env_steps": 250,
        "agent_steps": 250,
        "policy_version": 3,
        "seconds": 2.0,
        "fps": (125.0, 125.0, 125.0),
        "episodes": 2,
        "spreads": {"reward": Spread(21.5, 9.0, 40.0), "len": Spread(21.5, 9.0, 40.0)},
        "training": {"train/lr": 1e-4, "train/entropy": 0.69},
        "time_s": {"env": 1.0, "learner": 3.0},
    }
    return Report(**(values | changes))


def test_time_left_follows_from_the_speed():
    assert progress(report(), cfg()) == (0.25, 6.0)  # 750 steps left at 125 per second


def test_the_limit_that_comes_first_counts():
    assert progress(report(), cfg(train_for_seconds=4)) == (0.5, 2.0)


def test_time_left_is_unknown_while_the_speed_is():
    done, left = progress(report(fps=(math.nan, math.nan, math.nan)), cfg(train_for_seconds=10**10))
    assert done == 0.25
    assert duration(left) == "–"


def test_plain_lines_are_one_line_a_report():
    out = io.StringIO()
    display = make_display(cfg(), Console(file=out))
    assert isinstance(display, PlainDisplay)
    display.start()
    display.show(report())
    display.stop()
    assert out.getvalue() == (
        "env_steps 250 (25.0 %) | fps 125.0 | return 21.5 | length 21.5 | episodes 2 | policy version 3 | "
        "env 25 %, learner 75 % | left 0:00:06\n"
    )


def test_a_terminal_gets_the_live_panel_with_log_lines_above_it(monkeypatch):
    without_handlers_of_the_test_runner(monkeypatch)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    display = make_display(cfg(), console)
    assert isinstance(display, LiveDisplay)
    display.start()
    display.show(report())
    log.info("Saved checkpoint_000000003_250")
    display.stop()
    text = out.getvalue()
    for shown in ("CartPole-v1", "25.0 %", "250 of 1,000 env steps", "21.5", "from 9 to 40", "learner", "75 %", "0.69"):
        assert shown in text
    assert "Saved checkpoint_000000003_250" in text


def test_the_display_gives_the_log_back(monkeypatch):
    without_handlers_of_the_test_runner(monkeypatch)
    handlers = list(log.handlers)
    display = make_display(cfg(), Console(file=io.StringIO()))
    display.start()
    display.stop()
    assert log.handlers == handlers


def test_a_program_that_configured_logging_keeps_its_handlers_alone(monkeypatch):
    without_handlers_of_the_test_runner(monkeypatch)
    mine = logging.StreamHandler(io.StringIO())
    log.addHandler(mine)
    try:
        display = make_display(cfg(), Console(file=io.StringIO()))
        display.start()
        assert log.handlers == [mine]
        display.stop()
    finally:
        log.removeHandler(mine)


@pytest.mark.parametrize(
    ("values", "drawn"), [([], ""), ([1.0], "▁"), ([0.0, 7.0], "▁█"), ([0.0, 3.5, 7.0], "▁▅█"), ([2.0, 2.0], "▁▁")]
)
def test_sparkline_spans_lowest_to_highest(values, drawn):
    assert sparkline(values) == drawn


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (99.95, "100.0"), (12.34, "12.3"), (0.01234, "0.0123"), (math.nan, "–")]
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.9, "0:00:59"), (3723, "1:02:03"), (100_000, "1 d 3 h"), (math.inf, "–"), (1e10, "–")]
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_masked_samples_are_shown_with_the_reason_and_what_waits():
    counters = {"samples_trained": 90, "samples_stale": 8, "samples_reset_only": 2, "samples_inactive": 0}
    counters |= {"slots_ready": 3, "groups_waiting": 1}
    line = data_line(report(policy_lag=LagSpread.of({0: 3, 4: 1}), counters=counters))
    assert "policy lag 0 to 4, mean 1 " in line
    # in turns there is no lag, and nothing masked is nothing to say
    assert data_line(report(policy_lag=LagSpread.of({0: 3}), counters={"samples_trained": 90})) == ""
    assert "masked stale 8.0 %, reset only 2.0 %" in line
    assert "waiting: 3 rollouts, 1 groups" in line
    assert data_line(report()) == ""


def test_each_kind_of_process_of_a_parallel_run_is_compared_with_its_own_waiting():
    time_s = {"env": 1.0, "env_waiting": 3.0, "learner": 9.0, "learner_waiting": 1.0}
    assert shares(report(time_s=time_s)) == [("env", 0.25), ("learner", 0.9)]
    assert shares(report(time_s={"env": 1.0, "learner": 3.0})) == [("env", 0.25), ("learner", 0.75)]


def test_speeds_of_a_minute_and_of_five_are_shown_once_a_run_is_old_enough():
    fps = (100.0, 200.0, 300.0)
    assert speeds(report(fps=fps, seconds=59)) == ["100.0"]
    assert speeds(report(fps=fps, seconds=300)) == ["100.0", "1 min 200.0", "5 min 300.0"]


def test_the_panel_names_the_limit_that_comes_first():
    assert so_far(report(), cfg()) == "250 of 1,000 env steps"
    assert so_far(report(), cfg(train_for_seconds=4)) == "250 env steps, 0:00:02 of 0:00:04"


def test_the_first_few_statistics_of_the_env_are_shown():
    spreads = {"reward": Spread(1.0, 1.0, 1.0), **{name: Spread(0.5, 0.0, 1.0) for name in "abcdef"}}
    assert stats_line(report(spreads=spreads)) == "a 0.5   b 0.5   c 0.5   d 0.5   and 2 more"
    assert stats_line(report()) == ""


def test_bars_do_not_push_about_what_follows_them():
    def breakdown_of(env):
        return breakdown(report(time_s={"other": 1 - env, "env": env, "learner": 0.0})).plain

    assert breakdown_of(0.5).index("learner") == breakdown_of(0.05).index("learner")
    assert breakdown_of(0.5) == "env ███░░░ 50 %   learner ░░░░░░  0 %   other 50 %   "
