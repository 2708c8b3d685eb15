import math

import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from sf_core.envs.spaces import action_parts
from sf_core.model.action_distribution import ActionDistribution, ActionLayout


def leaf_spaces():
    sizes = st.integers(1, 4)
    return st.one_of(
        st.builds(lambda n, start: spaces.Discrete(n, start=start), sizes, st.integers(-2, 2)),
        st.builds(spaces.MultiDiscrete, st.lists(sizes, min_size=1, max_size=3)),
        st.just(spaces.MultiDiscrete([[2, 3], [4, 1]])),
        st.builds(spaces.MultiBinary, st.one_of(sizes, st.just([2, 2]))),
        st.builds(lambda shape: spaces.Box(-1, 1, tuple(shape)), st.lists(st.integers(1, 3), max_size=2)),
    )


def any_action_space():
    return st.recursive(
        leaf_spaces(),
        lambda children: st.one_of(
            st.lists(children, min_size=1, max_size=3).map(spaces.Tuple),
            st.dictionaries(st.sampled_from("abc"), children, min_size=1, max_size=3).map(spaces.Dict),
        ),
        max_leaves=4,
    )


def literal_parts(parts, logits, mask):
    """The oracle: one torch.distributions object per element, in order: [(part, element, distribution)]."""
    found, at, at_mask = [], 0, 0
    for part in parts:
        for element, size in enumerate(part.sizes):
            piece = logits[:, at : at + size]
            if mask is not None:
                piece = piece.masked_fill(~mask[:, at_mask : at_mask + size], -math.inf)
            found.append((part, element, Categorical(logits=piece)))
            at, at_mask = at + size, at_mask + size
        if part.kind == "box":
            count = part.num_elements
            std = logits[:, at + count : at + 2 * count].exp().clamp(1e-4, 1e4)
            for element in range(count):
                found.append((part, element, Normal(logits[:, at + element], std[:, element])))
            at += 2 * count
    assert at == logits.shape[1]
    return found


def random_case(space, seed, num_rows=5):
    generator = torch.Generator().manual_seed(seed)
    layout = ActionLayout(action_parts(space))
    logits = torch.randn(num_rows, layout.num_parameters, generator=generator, dtype=torch.float64) * 2
    mask = None
    if layout.num_choices and seed % 3:
        mask = torch.rand(num_rows, layout.num_choices, generator=generator) < 0.5
        at = 0
        for size in layout.sizes:  # at least one legal choice each
            pick = torch.randint(at, at + size, (num_rows,), generator=generator)
            mask[torch.arange(num_rows), pick] = True
            at += size
    return layout, logits, mask, generator


def flat(part, action):
    return action.reshape(action.shape[0], -1)


@settings(max_examples=60, deadline=None)
@given(any_action_space(), st.integers(0, 2**20))
def test_log_prob_entropy_and_kl_agree_with_torch_distributions(space, seed):
    layout, logits, mask, generator = random_case(space, seed)
    distribution = ActionDistribution(layout, logits, mask)
    other_logits = logits + torch.randn(logits.shape, generator=generator, dtype=logits.dtype)
    other = ActionDistribution(layout, other_logits, mask)
    action = distribution.sample(generator)
    log_prob = entropy = kl = torch.zeros(len(logits), dtype=torch.float64)
    pairs = zip(literal_parts(layout.parts, logits, mask), literal_parts(layout.parts, other_logits, mask), strict=True)
    for (part, element, literal), (_, _, literal_other) in pairs:
        log_prob = log_prob + literal.log_prob(flat(part, action[part.name])[:, element])
        entropy = entropy + literal.entropy()
        kl = kl + kl_divergence(literal, literal_other)
    torch.testing.assert_close(distribution.log_prob(action), log_prob)
    torch.testing.assert_close(distribution.entropy(), entropy)
    torch.testing.assert_close(distribution.kl_divergence(other), kl)


@settings(max_examples=60, deadline=None)
@given(any_action_space(), st.integers(0, 2**20))
def test_samples_and_modes_fit_the_space_and_are_always_legal(space, seed):
    layout, logits, mask, generator = random_case(space, seed)
    distribution = ActionDistribution(layout, logits.float(), mask)
    for action in (distribution.sample(generator), distribution.mode()):
        at = 0
        for part in layout.parts:
            value = action[part.name]
            assert value.shape == (len(logits), *part.shape)
            assert str(value.dtype).removeprefix("torch.") == part.dtype.name
            for element, size in enumerate(part.sizes):
                chosen = flat(part, value)[:, element]
                assert ((chosen >= 0) & (chosen < size)).all()
                if mask is not None:
                    assert mask[torch.arange(len(logits)), at + chosen].all()
                at += size
    assert distribution.log_prob(distribution.sample(generator)).isfinite().all()


@settings(max_examples=40, deadline=None)
@given(any_action_space(), st.integers(0, 2**20))
def test_the_mode_is_right_for_any_batch(space, seed):
    layout, logits, mask, _ = random_case(space, seed)
    mode = ActionDistribution(layout, logits, mask).mode()
    for part, element, literal in literal_parts(layout.parts, logits, mask):
        expected = literal.logits.argmax(-1) if part.kind == "discrete" else literal.mean
        torch.testing.assert_close(flat(part, mode[part.name])[:, element], expected, check_dtype=False)


def test_leading_axes_may_be_any():
    layout = ActionLayout(action_parts(spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))])))
    logits = torch.randn(2, 4, layout.num_parameters)
    distribution = ActionDistribution(layout, logits)
    action = distribution.sample()
    assert action["0"].shape == (2, 4)
    assert action["1"].shape == (2, 4, 2)
    flattened = ActionDistribution(layout, logits.flatten(0, 1))
    torch.testing.assert_close(
        distribution.log_prob(action).flatten(), flattened.log_prob({k: v.flatten(0, 1) for k, v in action.items()})
    )


def test_samples_come_as_often_as_their_probability():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    layout = ActionLayout(action_parts(spaces.Discrete(4)))
    distribution = ActionDistribution(layout, probabilities.log().expand(40_000, -1))
    action = distribution.sample(torch.Generator().manual_seed(1))["action"]
    counts = torch.bincount(action, minlength=4) / 40_000
    # standard error of a frequency: sqrt(p (1 - p) / 40000) <= 0.0025
    torch.testing.assert_close(counts, probabilities, atol=0.01, rtol=0)


def test_samples_of_a_box_have_the_mean_and_stddev_of_the_logits():
    layout = ActionLayout(action_parts(spaces.Box(-1, 1, (2,))))
    logits = torch.tensor([1.0, -2.0, math.log(0.5), math.log(3.0)]).expand(40_000, -1)
    action = ActionDistribution(layout, logits).sample(torch.Generator().manual_seed(1))["action"]
    torch.testing.assert_close(action.mean(0), torch.tensor([1.0, -2.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(action.std(0), torch.tensor([0.5, 3.0]), atol=0.05, rtol=0)


def test_the_generator_decides_the_sample():
    layout = ActionLayout(action_parts(spaces.Tuple([spaces.Discrete(9), spaces.Box(-1, 1, (2,))])))
    distribution = ActionDistribution(layout, torch.zeros(20, layout.num_parameters))
    first, second, third = (distribution.sample(torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first["0"], second["0"])
    again, log_prob = distribution.sample_with_log_prob(torch.Generator().manual_seed(3))
    assert torch.equal(first["1"], again["1"])
    assert torch.equal(log_prob, distribution.log_prob(first))
    assert torch.equal(first["1"], second["1"])
    assert not torch.equal(first["0"], third["0"])


def test_illegal_choices_keep_everything_finite_gradients_included():
    layout = ActionLayout(action_parts(spaces.MultiDiscrete([3, 2])))
    logits = torch.tensor([[5.0, -3.0, 90.0, 0.0, 1.0]], requires_grad=True)
    mask = torch.tensor([[True, True, False, False, True]])
    distribution = ActionDistribution(layout, logits, mask)
    other = ActionDistribution(layout, logits.detach() * 0.5, mask)
    action = {"action": torch.tensor([[1, 1]])}
    total = (
        distribution.log_prob(action)
        + distribution.entropy()
        + distribution.kl_divergence(other)
        + distribution.symmetric_kl_with_uniform()
    )
    total.sum().backward()
    assert total.isfinite().all()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 2] == 0
    assert logits.grad[0, 3] == 0
    assert (logits.grad[0, :2] != 0).all()


def test_with_one_legal_choice_there_is_no_entropy_and_no_divergence():
    layout = ActionLayout(action_parts(spaces.Discrete(3)))
    mask = torch.tensor([[False, True, False]])
    distribution = ActionDistribution(layout, torch.tensor([[9.0, -4.0, 2.0]]), mask)
    assert distribution.entropy().item() == 0
    assert distribution.symmetric_kl_with_uniform().item() == 0
    assert distribution.log_prob({"action": torch.tensor([1])}).item() == 0


@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.MultiDiscrete([3, 2])])
def test_a_row_without_any_legal_choice_counts_as_unmasked(space):
    layout = ActionLayout(action_parts(space))
    logits = torch.randn(2, layout.num_parameters)
    mask = torch.ones(2, layout.num_choices, dtype=torch.int8)
    mask[1, :3] = 0
    torch.testing.assert_close(
        ActionDistribution(layout, logits, mask).entropy(), ActionDistribution(layout, logits).entropy()
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**20))
def test_symmetric_kl_with_uniform_is_the_mean_of_both_directions(nvec, seed):
    layout, logits, mask, _ = random_case(spaces.MultiDiscrete(nvec), seed)
    expected = torch.zeros(len(logits), dtype=torch.float64)
    for _, _, literal in literal_parts(layout.parts, logits, mask):
        for row in range(len(logits)):
            legal = literal.probs[row] > 0
            p, uniform = literal.probs[row][legal], torch.full((int(legal.sum()),), 1 / int(legal.sum()))
            uniform = uniform.double()
            expected[row] += 0.5 * ((p * (p / uniform).log()).sum() + (uniform * (uniform / p).log()).sum())
    torch.testing.assert_close(ActionDistribution(layout, logits, mask).symmetric_kl_with_uniform(), expected)


def test_the_symmetric_kl_is_that_of_the_discrete_parts_and_the_box_entropy_that_of_the_others():
    space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(-1, 1, (2,)), "c": spaces.MultiDiscrete([3, 2])})
    layout, logits = ActionLayout(action_parts(space)), torch.randn(5, 2 + 4 + 5)
    of_discrete = ActionDistribution(
        ActionLayout(action_parts(spaces.MultiDiscrete([2, 3, 2]))), logits[:, [0, 1, 6, 7, 8, 9, 10]]
    )
    of_box = ActionDistribution(ActionLayout(action_parts(space["b"])), logits[:, 2:6])
    distribution = ActionDistribution(layout, logits)
    torch.testing.assert_close(distribution.symmetric_kl_with_uniform(), of_discrete.symmetric_kl_with_uniform())
    torch.testing.assert_close(distribution.box_entropy(), of_box.entropy())
    assert (of_box.symmetric_kl_with_uniform() == 0).all()
    assert (of_discrete.box_entropy() == 0).all()


@pytest.mark.parametrize(("log_stddev", "expected"), [(50.0, 1e4), (-50.0, 1e-4), (0.5, math.exp(0.5))])
def test_the_stddev_is_kept_between_its_limits(log_stddev, expected):
    layout = ActionLayout(action_parts(spaces.Box(-1, 1, (1,))))
    distribution = ActionDistribution(layout, torch.tensor([[0.0, log_stddev]]))
    assert distribution.log_stddev.exp().item() == pytest.approx(expected, rel=1e-4)
    # entropy of a Gaussian: log(sigma sqrt(2 pi e))
    assert distribution.entropy().item() == pytest.approx(
        math.log(expected * math.sqrt(2 * math.pi * math.e)), rel=1e-4
    )


def test_logits_of_another_size_are_refused():
    with pytest.raises(ValueError, match="3 action logits for an action space that has 2"):
        ActionDistribution(action_parts(spaces.Discrete(2)), torch.zeros(1, 3))


def test_one_tensor_with_the_parts_side_by_side_becomes_parts():
    layout = ActionLayout(action_parts(spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2, 1))])))
    parts = layout.as_parts(torch.tensor([[2.0, 0.5, -0.5]]))
    assert parts["0"].tolist() == [2]
    assert parts["0"].dtype == torch.int64
    assert parts["1"].tolist() == [[[0.5], [-0.5]]]
