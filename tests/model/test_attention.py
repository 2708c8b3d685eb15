import pytest
import torch

from sf_core.model.attention import ModelCoreAttention
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

T, B = 9, 4


def core_of(window=3, size=8, heads=2, layers=1):
    cfg = AttrDict(
        attention_window=window,
        attention_size=size,
        attention_heads=heads,
        attention_layers=layers,
        nonlinearity="relu",
    )
    core = ModelCoreAttention(cfg, 5).double()
    for layer in core.layers:  # zero at first, so tests would not see a mistake in it
        torch.nn.init.normal_(layer.bias_of_age)
    return core


def step_by_step(core, x, state, episode_start):
    outputs = []
    for x_t, start_t in zip(x, episode_start, strict=True):
        y, state = core(x_t, state.masked_fill(start_t[:, None], 0.0))
        outputs.append(y)
    return torch.stack(outputs), state


def zeros(core, rows=B):
    return torch.zeros(rows, core.state_size, dtype=torch.float64)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("window", [1, 3, 20])
@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_a_segment_at_once_equals_step_by_step_with_episodes_starting_inside(window, layers, probability):
    core = core_of(window=window, layers=layers)
    _, state = step_by_step(core, torch.randn(4, B, 5).double(), zeros(core), torch.rand(4, B) < probability)
    x, start = torch.randn(T, B, 5).double(), torch.rand(T, B) < probability
    y, last = core.forward_sequence(x, state, start)
    expected_y, expected_last = step_by_step(core, x, state, start)
    torch.testing.assert_close(y, expected_y)
    torch.testing.assert_close(last, expected_last)


def test_a_step_sees_itself_and_the_window_before_it():
    core = core_of(window=3)
    x = torch.randn(T, 1, 5).double().requires_grad_()
    y, _ = core.forward_sequence(x, zeros(core, 1), torch.zeros(T, 1, dtype=torch.bool))
    gradient = torch.autograd.grad(y[6, 0, 0], x)[0].abs().sum((1, 2)) > 1e-12
    assert gradient.tolist() == [False, False, False, True, True, True, True, False, False]


def test_every_layer_looks_back_further():
    core = core_of(window=2, layers=2)
    x = torch.randn(T, 1, 5).double().requires_grad_()
    y, _ = core.forward_sequence(x, zeros(core, 1), torch.zeros(T, 1, dtype=torch.bool))
    gradient = torch.autograd.grad(y[8, 0, 0], x)[0].abs().sum((1, 2)) > 1e-12
    assert gradient.tolist() == [False] * 4 + [True] * 5


def test_nothing_is_seen_across_the_start_of_an_episode():
    core = core_of(window=5)
    x = torch.randn(T, 1, 5).double().requires_grad_()
    start = torch.zeros(T, 1, dtype=torch.bool)
    start[4] = True
    y, _ = core.forward_sequence(x, zeros(core, 1), start)
    gradient = torch.autograd.grad(y[6, 0, 0], x)[0].abs().sum((1, 2)) > 1e-12
    assert gradient.tolist() == [False] * 4 + [True] * 3 + [False] * 2


def test_how_long_ago_something_was_matters():
    core = core_of(window=4)
    x = torch.randn(4, 1, 5).double()
    swapped = x[[1, 0, 2, 3]]
    none = torch.zeros(4, 1, dtype=torch.bool)
    y, _ = core.forward_sequence(x, zeros(core, 1), none)
    other, _ = core.forward_sequence(swapped, zeros(core, 1), none)
    assert (y[3] - other[3]).abs().max() > 1e-6


def test_a_state_that_is_not_finite_is_gone_after_an_episode_start():
    core = core_of()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0] = True
    y, last = core.forward_sequence(torch.randn(T, B, 5).double(), zeros(core) + float("nan"), start)
    assert y.isfinite().all()
    assert last.isfinite().all()


def test_the_state_is_what_each_layer_was_given_and_which_steps_there_were():
    core = core_of(window=3, size=4, layers=2)
    assert core.state_size == 3 * (2 * 4 + 1)
    x = torch.randn(2, 5).double()
    _, state = core(x, zeros(core, 2))
    assert state[:, -3:].tolist() == [[0, 0, 1]] * 2
    torch.testing.assert_close(state[:, 8:12], core.inner(x))  # the last of three steps of the first layer
    assert not state[:, :8].any()


def test_heads_must_divide_the_size():
    with pytest.raises(UsageError, match="--attention_size=9 cannot be shared by --attention_heads=2"):
        core_of(size=9)
