import math

import pytest
import torch

from sf_core.learner import losses

ALL = torch.tensor([True, True, True])
NAN = float("nan")


def test_masked_mean_ignores_what_stands_in_invalid_rows():
    x = torch.tensor([1.0, NAN, 3.0], requires_grad=True)
    mean = losses.masked_mean(x, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2.0
    assert x.grad.tolist() == [0.5, 0.0, 0.5]
    assert losses.masked_mean(x, ~ALL).item() == 0.0


def test_ratio_is_one_with_the_gradient_of_the_log_prob_where_nothing_changed():
    log_prob = torch.tensor([-1.0, -0.5, -50.0], requires_grad=True)
    ratio = losses.importance_ratio(log_prob, log_prob.detach(), ALL)
    ratio.sum().backward()
    assert ratio.tolist() == [1.0, 1.0, 1.0]
    assert log_prob.grad.tolist() == [1.0, 1.0, 1.0]


def test_ratio_is_limited_and_one_in_invalid_rows():
    target = torch.tensor([0.0, -10.0, NAN, math.log(2.0)], requires_grad=True)
    valid = torch.tensor([True, True, False, True])
    ratio = losses.importance_ratio(target, torch.tensor([-10.0, 0.0, NAN, 0.0]), valid)
    ratio.sum().backward()
    assert ratio.tolist() == pytest.approx([20.0, 0.05, 1.0, 2.0])
    assert target.grad.tolist() == pytest.approx([0.0, 0.0, 0.0, 2.0])


def test_clip_range_is_symmetric_in_the_logarithm():
    low, high = losses.clip_range(0.1)
    assert (low, high) == pytest.approx((1 / 1.1, 1.1))
    assert math.log(low) == pytest.approx(-math.log(high))


def test_advantages_are_normalised_over_valid_samples_with_the_unbiased_deviation():
    # Valid: 1, 2, 6. Mean 3, squares 4 + 1 + 9 = 14, unbiased variance 7.
    got = losses.normalise_advantage(torch.tensor([1.0, NAN, 2.0, 6.0]), torch.tensor([True, False, True, True]))
    assert got.tolist() == pytest.approx([-2 / 7**0.5, 0.0, -1 / 7**0.5, 3 / 7**0.5])


def test_equal_advantages_and_too_few_of_them_stay_finite():
    assert losses.normalise_advantage(torch.tensor([5.0, 5.0, 5.0]), ALL).tolist() == [0.0, 0.0, 0.0]
    assert (
        losses.normalise_advantage(torch.tensor([5.0, 1.0, 1.0]), torch.tensor([True, False, False])).isfinite().all()
    )
    assert losses.normalise_advantage(torch.tensor([5.0, 1.0, 1.0]), ~ALL).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "gradient"),
    [
        (1.0, 2.0, -2.0, -2.0),  # unclipped
        (1.5, 2.0, -2.2, 0.0),  # better action already 50 % likelier: clipped at 1.1
        (1.5, -2.0, 3.0, 2.0),  # worse action likelier: not clipped, pushed back
        (0.5, 2.0, -1.0, -2.0),  # better action less likely: not clipped
        (0.5, -2.0, 2.0 / 1.1, 0.0),  # worse action already less likely: clipped at 1/1.1
    ],
)
def test_policy_loss_takes_the_pessimistic_of_clipped_and_unclipped(ratio, advantage, expected, gradient):
    r = torch.tensor([ratio], requires_grad=True)
    loss = losses.policy_loss(r, torch.tensor([advantage]), torch.tensor([True]), clip_ratio=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert r.grad.item() == pytest.approx(gradient)


@pytest.mark.parametrize(
    ("value", "expected", "gradient"),
    [
        # behaviour value 0, target 1, limit 0.2, coefficient 0.5
        (0.1, 0.5 * 0.81, -0.9),  # inside: both agree, (0.1 - 1)²
        (0.7, 0.5 * 0.64, 0.0),  # towards the target beyond the limit: (0.2 - 1)² is larger, no gradient
        (-0.7, 0.5 * 2.89, -1.7),  # away from the target: the unclipped (−0.7 − 1)² is larger
    ],
)
def test_value_loss_takes_the_pessimistic_of_clipped_and_unclipped(value, expected, gradient):
    v = torch.tensor([value], requires_grad=True)
    loss = losses.value_loss(v, torch.zeros(1), torch.ones(1), torch.tensor([True]), clip_value=0.2, coefficient=0.5)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert v.grad.item() == pytest.approx(gradient)


def test_entropy_is_rewarded():
    assert losses.entropy_loss(torch.tensor([1.0, NAN, 3.0]), torch.tensor([True, False, True]), coefficient=0.1) == (
        pytest.approx(-0.2)
    )


def test_symmetric_kl_is_capped_and_infinite_samples_count_as_zero():
    few = losses.symmetric_kl_loss(torch.tensor([1.0, torch.inf, 5.0]), ALL, coefficient=0.5)
    many = losses.symmetric_kl_loss(torch.tensor([100.0, 100.0, 1.0]), ALL, coefficient=0.5)
    assert few.item() == pytest.approx(1.0)  # (1 + 0 + 5) / 3 * 0.5
    assert many.item() == 15.0  # 30 * 0.5


def test_kl_loss_is_the_weighted_mean():
    assert losses.kl_loss(torch.tensor([1.0, 2.0, 6.0]), ALL, coefficient=0.1).item() == pytest.approx(0.3)


def test_total_is_the_sum_of_the_terms():
    terms = losses.LossTerms(*(torch.tensor(x) for x in (1.0, 2.0, 4.0, 8.0)))
    assert terms.total.item() == 15.0


@pytest.mark.parametrize(
    "function",
    [
        losses.masked_mean,
        lambda x, valid: losses.importance_ratio(x, x.flip(0), valid),
        losses.normalise_advantage,
        lambda x, valid: losses.policy_loss(x.exp(), x.flip(0), valid, clip_ratio=0.1),
        lambda x, valid: losses.value_loss(x, x.flip(0), x * x, valid, clip_value=0.2, coefficient=0.5),
        lambda x, valid: losses.entropy_loss(x, valid, coefficient=0.1),
        lambda x, valid: losses.symmetric_kl_loss(x, valid, coefficient=0.1),
        lambda x, valid: losses.kl_loss(x, valid, coefficient=0.1),
    ],
)
def test_no_mask_means_that_all_samples_are_valid(function):
    results = []
    for valid in (None, torch.ones(6, dtype=torch.bool)):
        x = torch.tensor([1.0, -0.5, 2.0, 4.0, -3.0, 0.25], requires_grad=True)
        result = function(x, valid)
        (result * torch.arange(1.0, 1.0 + result.numel())).sum().backward()
        results.append((result.detach(), x.grad))
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
