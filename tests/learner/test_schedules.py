import pytest

from sf_core.learner.schedules import kl_adaptive, linear_decay


def test_linear_decay_starts_at_the_learning_rate_and_ends_at_zero():
    assert linear_decay(0.1, 0, 1000) == 0.1
    assert linear_decay(0.1, 250, 1000) == pytest.approx(0.075)
    assert linear_decay(0.1, 1000, 1000) == 0.0
    assert linear_decay(0.1, 1300, 1000) == 0.0


def test_linear_decay_is_the_same_with_and_without_frame_skip():
    # 500 of 1000 transitions is half the budget, whether steps are counted as transitions or as 4 frames each.
    assert linear_decay(1.0, 500, 1000) == linear_decay(1.0, 4 * 500, 4 * 1000) == 0.5


def adapt(lr, kl):
    return kl_adaptive(lr, kl, threshold=0.01, lowest=0.001, highest=0.1)


def test_kl_adaptive_moves_towards_the_threshold_outside_a_factor_of_two():
    assert adapt(0.015, 0.021) == pytest.approx(0.01)
    assert adapt(0.01, 0.0049) == pytest.approx(0.015)
    assert adapt(0.01, 0.02) == 0.01
    assert adapt(0.01, 0.005) == 0.01


def test_kl_adaptive_stays_within_its_bounds():
    assert adapt(0.0012, 1.0) == 0.001
    assert adapt(0.09, 0.0) == 0.1


def test_a_divergence_that_is_not_a_number_changes_nothing():
    assert adapt(0.01, float("nan")) == 0.01
