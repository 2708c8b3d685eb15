import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sf_core.model.attention import ModelCoreAttention
from sf_core.model.core import (
    ModelCore,
    ModelCoreIdentity,
    ModelCoreRNN,
    make_core,
    rnn_state_size,
    run_past_gaps,
    run_sequence,
    split_at_starts,
)
from sf_core.utils.attr_dict import AttrDict

KINDS = [("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 3)]


def step_by_step(core, x, state, episode_start):
    """The oracle: one step at a time, the state of a row set to zero where its episode starts."""
    outputs = []
    for x_t, start_t in zip(x, episode_start, strict=True):
        state = torch.stack([torch.zeros_like(s) if start else s for s, start in zip(state, start_t, strict=True)])
        y, state = core(x_t, state)
        outputs.append(y)
    return torch.stack(outputs), state


@pytest.mark.parametrize(("kind", "layers"), KINDS)
@pytest.mark.parametrize("probability", [0.0, 0.1, 0.6, 1.0])
def test_a_segment_at_once_equals_step_by_step_with_episodes_starting_inside(cfg_of, kind, layers, probability):
    core = make_core(cfg_of(rnn_num_layers=layers), 5, kind).double()
    for num_steps, num_rows in ((7, 4), (1, 3), (9, 1)):
        x = torch.randn(num_steps, num_rows, 5, dtype=torch.float64)
        state = torch.randn(num_rows, core.state_size, dtype=torch.float64)
        start = torch.rand(num_steps, num_rows) < probability
        y, last = run_sequence(core, x, state, start)
        expected_y, expected_last = step_by_step(core, x, state, start)
        torch.testing.assert_close(y, expected_y)
        torch.testing.assert_close(last, expected_last)


class ResidualRNN(ModelCoreRNN):
    """Redefines one step; the inherited way through a segment does not know."""

    def forward(self, x, state):
        y, state = super().forward(x, state)
        return x + y, state


class DeepIdentity(ModelCoreIdentity):
    def __init__(self, cfg, input_size):
        super().__init__(cfg, input_size)
        self.layer = torch.nn.Linear(input_size, input_size)

    def forward(self, x, state):
        return self.layer(x), state


@pytest.mark.parametrize("kind", [ResidualRNN, DeepIdentity])
def test_a_core_whose_forward_alone_is_redefined_is_stepped(cfg_of, kind):
    core = kind(cfg_of(use_rnn=True, rnn_size=5), 5)
    x, state = torch.randn(4, 3, 5), torch.randn(3, core.state_size)
    start = torch.rand(4, 3) < 0.4
    for got, expected in zip(run_sequence(core, x, state, start), step_by_step(core, x, state, start), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_gradients_stop_at_episode_starts(cfg_of, kind):
    core = make_core(cfg_of(), 2, kind)
    x = torch.randn(4, 1, 2, requires_grad=True)
    state = torch.randn(1, core.state_size, requires_grad=True)
    start = torch.tensor([False, False, True, False])[:, None]
    y, _ = run_sequence(core, x, state, start)
    gradient_x, gradient_state = torch.autograd.grad(y[3].sum(), (x, state), allow_unused=True)
    assert (gradient_x[:2] == 0).all()
    assert (gradient_x[2:] != 0).all()
    assert gradient_state is None or (gradient_state == 0).all()
    y, _ = run_sequence(core, x, state, torch.zeros_like(start))
    assert (torch.autograd.grad(y[3].sum(), state)[0] != 0).any()


def test_a_state_that_is_not_finite_is_gone_after_an_episode_start(cfg_of):
    core = make_core(cfg_of(), 2, "gru")
    state = torch.full((2, core.state_size), float("nan"))
    y, last = run_sequence(core, torch.randn(3, 2, 2), state, torch.tensor([[True, True], [False] * 2, [True, False]]))
    assert y.isfinite().all()
    assert last.isfinite().all()


def test_the_lstm_state_is_hidden_then_cell_layer_after_layer(cfg_of):
    core = make_core(cfg_of(rnn_size=3, rnn_num_layers=2), 4, "lstm")
    assert core.state_size == 12
    state = torch.randn(5, 12)
    hidden = torch.stack([state[:, 0:3], state[:, 6:9]])  # [layers, B, size]
    cell = torch.stack([state[:, 3:6], state[:, 9:12]])
    x = torch.randn(5, 4)
    expected, (new_hidden, new_cell) = core.core(x[None], (hidden, cell))
    y, new_state = core(x, state)
    torch.testing.assert_close(y, expected[0])
    torch.testing.assert_close(new_state, torch.cat([new_hidden[0], new_cell[0], new_hidden[1], new_cell[1]], dim=1))


def test_the_gru_state_is_layer_after_layer(cfg_of):
    core = make_core(cfg_of(rnn_size=3, rnn_num_layers=2), 4, "gru")
    state = torch.randn(5, 6)
    x = torch.randn(5, 4)
    _, hidden = core.core(x[None], torch.stack([state[:, :3], state[:, 3:]]))
    torch.testing.assert_close(core(x, state)[1], torch.cat([hidden[0], hidden[1]], dim=1))


# 2 layers of 5: GRU 10, LSTM 20; without recurrence one unused number
@pytest.mark.parametrize(
    ("use_rnn", "rnn_type", "size"), [(True, "gru", 10), (True, "lstm", 20), (False, "lstm", 1), (False, "gru", 1)]
)
def test_the_state_size_follows_the_flags(cfg_of, use_rnn, rnn_type, size):
    cfg = cfg_of(use_rnn=use_rnn, rnn_type=rnn_type, rnn_size=5, rnn_num_layers=2)
    assert rnn_state_size(cfg) == size
    assert make_core(cfg, 3).state_size == size


def test_a_core_chosen_by_name_wins_over_the_flags(cfg_of):
    assert make_core(cfg_of(use_rnn=True, rnn_type="gru"), 3, "lstm").state_size == 12
    core = make_core(cfg_of(use_rnn=True), 3, "none")
    x = torch.randn(2, 3)
    assert core(x, torch.zeros(2, 1))[0] is x
    assert core.get_out_size() == 3


class RunningSum(ModelCore):
    """A custom core with `forward` only."""

    def __init__(self, cfg, input_size):
        super().__init__(cfg)
        self.core_output_size = input_size
        self.size = input_size

    @property
    def state_size(self):
        return self.size

    def forward(self, x, state):
        return x + state, x + state


def test_a_core_with_forward_only_is_stepped_and_its_state_zeroed_at_episode_starts(cfg_of):
    core = RunningSum(cfg_of(), 1)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])[:, :, None]  # [T=4, B=1, 1]
    start = torch.tensor([[False], [False], [True], [False]])
    y, state = run_sequence(core, x, torch.tensor([[10.0]]), start)
    assert y.flatten().tolist() == [11, 13, 3, 7]
    assert state.tolist() == [[7]]


def make_any_core(kind, cfg_of):
    if kind == "attention":
        flags = {"attention_window": 3, "attention_size": 4, "attention_heads": 2, "attention_layers": 2}
        return ModelCoreAttention(AttrDict({**cfg_of(), **flags}), 5)
    return RunningSum(cfg_of(), 5) if kind == "stepped" else make_core(cfg_of(rnn_num_layers=2), 5, kind)


@pytest.mark.parametrize("kind", ["none", "gru", "lstm", "attention", "stepped"])
def test_the_state_passes_by_the_steps_that_an_agent_sat_out(cfg_of, kind):
    core = make_any_core(kind, cfg_of).double()
    x = torch.randn(9, 30, 5, dtype=torch.float64)
    first = torch.randn(30, core.state_size, dtype=torch.float64)
    start, gap = torch.rand(9, 30) < 0.25, torch.rand(9, 30) < 0.4
    gap[:, 0], gap[:, 1] = True, False

    outputs, state = [], first  # the oracle: step by step, as the sampler does
    for t in range(9):
        state = state.masked_fill(start[t, :, None], 0.0)
        y, new_state = core(x[t], state)
        outputs.append(y)
        state = torch.where(gap[t, :, None], state, new_state)

    y = run_past_gaps(lambda *inputs: run_sequence(core, *inputs)[0], x, first, start, gap)
    torch.testing.assert_close(y[~gap], torch.stack(outputs)[~gap])
    assert y.isfinite().all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**20))
def test_splitting_covers_every_step_once_and_longest_first(num_steps, num_rows, seed):
    start = torch.rand(num_steps, num_rows, generator=torch.Generator().manual_seed(seed)) < 0.3
    split = split_at_starts(start)
    assert sorted(split.gather.tolist()) == list(range(num_steps * num_rows))
    assert split.gather[split.scatter].tolist() == list(range(num_steps * num_rows))
    assert int(split.batch_sizes.sum()) == num_steps * num_rows
    assert split.batch_sizes.tolist() == sorted(split.batch_sizes.tolist(), reverse=True)
    # walk the packed data: sequence s at step k is row batch_sizes[:k].sum() + s
    for s, (row, is_first) in enumerate(zip(split.row.tolist(), split.is_first.tolist(), strict=True)):
        steps, offset = [], 0
        for size in split.batch_sizes.tolist():
            if s < size:
                steps.append(int(split.gather[offset + s]))
            offset += size
        assert {step % num_rows for step in steps} == {row}
        times = [step // num_rows for step in steps]
        assert times == list(range(times[0], times[0] + len(times)))
        assert is_first == (times[0] == 0)
        assert times[0] == 0 or start[times[0], row]
        assert not start[times[1:], row].any()
        if times[-1] == num_steps - 1:
            assert int(split.last_of_row[row]) == s
