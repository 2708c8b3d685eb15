"""A rate is read between ends of training iterations, after the warm-up."""

import itertools

import pytest
from sf_bench.progress import Order, ProgressLog, read_progress, steady_window


def test_a_rate_belongs_to_whole_iterations_after_the_warm_up():
    # iterations end at 10, 12, 15, 19 s; with 3 s of warm-up the window opens at 15 s
    points = [(10.0, 100), (12.0, 300), (15.0, 600), (19.0, 1400)]
    window = steady_window(points, 3.0)
    assert (window.seconds, window.agent_steps, window.iterations) == (4.0, 800, 1)
    assert window.rate == 200.0
    assert steady_window(points, 0.0).rate == pytest.approx(1300 / 9)


@pytest.mark.parametrize("points", [[], [(1.0, 5)], [(1.0, 5), (2.0, 9)]])
def test_there_is_no_rate_without_two_ends_after_the_warm_up(points):
    assert steady_window(points, 1.5) is None


def test_a_contender_stops_when_there_is_enough_and_the_reader_sees_the_same_window(tmp_path):
    seconds = itertools.count(100)
    log = ProgressLog(Order(str(tmp_path / "progress"), warmup_s=2.0, seconds=3.0), clock=lambda: float(next(seconds)))
    # ends at 100, 101 (warm-up), 102 (window opens), 103, 104, 105 (three seconds)
    answers = [log.iteration(10 * number) for number in range(6)]
    assert answers == [False] * 5 + [True]
    log.facts(parameters=7)
    points, facts = read_progress(tmp_path / "progress")
    window = steady_window(points, 2.0)
    assert (window.seconds, window.iterations, window.rate) == (3.0, 3, 10.0)
    assert facts == {"parameters": 7}


def test_long_iterations_are_waited_for(tmp_path):
    times = iter([0.0, 50.0, 100.0, 150.0])
    log = ProgressLog(Order(str(tmp_path / "progress"), warmup_s=1.0, seconds=3.0), clock=lambda: next(times))
    assert [log.iteration(0) for _ in range(4)] == [False, False, False, True]


def test_a_line_cut_off_by_a_kill_is_passed_over(tmp_path):
    path = tmp_path / "progress"
    path.write_text('{"s": 1.0, "agent_steps": 4}\n{"s": 2.0, "agent_st')
    assert read_progress(path) == ([(1.0, 4)], {})
    assert read_progress(tmp_path / "nothing") == ([], {})
