import math

from sf_core.learner.sample_counts import LagSpread, SampleCounts


def test_counts_of_two_iterations_add_up():
    first = SampleCounts(10, 1, 2, 3, 4, {0: 8, 2: 3})
    second = SampleCounts(5, 1, 1, 1, 1, {2: 4, 7: 2})
    assert first + second == SampleCounts(15, 2, 3, 4, 5, {0: 8, 2: 7, 7: 2})


def test_every_row_has_one_fate():
    assert SampleCounts(10, 1, 2, 3, 4).by_fate() == {
        "samples_trained": 10,
        "samples_stale": 1,
        "samples_reset_only": 2,
        "samples_inactive": 3,
        "samples_other_policy": 4,
    }


def test_the_spread_of_the_lag_weighs_every_step():
    # (3 x 0 + 1 x 4) / 4 = 1
    assert LagSpread.of({4: 1, 0: 3}) == LagSpread(0, 1.0, 4, {0: 3, 4: 1})
    assert math.isnan(LagSpread.of({}).mean)
