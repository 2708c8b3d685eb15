"""Cores: memory between the encoder and the decoder.

In: encoder outputs, one step (`[B, D]`) or a segment (`[T, B, D]`), and a flat state vector per row. Out: core outputs
and the new state. The state is a plain vector, so that rollouts can store it without knowing what is inside.

A core needs `forward` and nothing else; `run_sequence` steps it through a segment. A core that also has
`forward_sequence` is run through whole segments by that, unless a subclass has redefined `forward` alone. This file
knows neither observations nor actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError


def rnn_state_size(cfg: AttrDict) -> int:
    """Size of the state vector that the `--rnn_*` flags ask for; 1 without `--use_rnn`."""
    if not cfg.use_rnn:
        return 1
    return int(cfg.rnn_size) * int(cfg.rnn_num_layers) * (2 if cfg.rnn_type == "lstm" else 1)


class ModelCore(nn.Module):
    """Base of every core.

    A subclass sets `core_output_size` (or overrides `get_out_size`), defines `forward`, and overrides `state_size` if
    its state is not the one that the `--rnn_*` flags describe. It may add
    `forward_sequence(x [T, B, D], state [B, H], episode_start [T, B]) -> (y [T, B, D'], state [B, H])`.
    """

    def __init__(self, cfg: AttrDict) -> None:
        super().__init__()
        self.cfg = cfg
        self.core_output_size = -1

    def get_out_size(self) -> int:
        """Size of the output vector, D'."""
        return self.core_output_size

    @property
    def state_size(self) -> int:
        """Size of the state vector of one row, H."""
        return rnn_state_size(self.cfg)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: `x [B, D]`, `state [B, H]` to `(y [B, D'], state [B, H])`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, state)")


class ModelCoreIdentity(ModelCore):
    """No memory: the output is the input, the state (one unused number) passes through."""

    def __init__(self, cfg: AttrDict, input_size: int) -> None:
        super().__init__(cfg)
        self.core_output_size = input_size

    @property
    def state_size(self) -> int:
        """1: rollouts need something to store."""
        return 1

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        return x, state

    def forward_sequence(self, x: Tensor, state: Tensor, episode_start: Tensor) -> tuple[Tensor, Tensor]:
        """A whole segment at once."""
        return x, state


class ModelCoreRNN(ModelCore):
    """GRU (Cho et al. 2014) or LSTM (Hochreiter and Schmidhuber 1997) of `--rnn_num_layers` layers.

    The state vector is the layers one after the other, each `[h]` (GRU) or `[h, c]` (LSTM).

    Args:
        cfg: reads `rnn_size`, `rnn_num_layers` and, unless `kind` is given, `rnn_type`.
        input_size: D.
        kind: `gru` or `lstm`.
    """

    def __init__(self, cfg: AttrDict, input_size: int, kind: str | None = None) -> None:
        super().__init__(cfg)
        kind = kind or cfg.rnn_type
        self.core: nn.GRU | nn.LSTM
        if kind == "gru":
            self.core = nn.GRU(input_size, cfg.rnn_size, cfg.rnn_num_layers)
        elif kind == "lstm":
            self.core = nn.LSTM(input_size, cfg.rnn_size, cfg.rnn_num_layers)
        else:
            raise UsageError(f"--rnn_type={kind} is unknown; use gru or lstm")
        self.is_lstm = kind == "lstm"
        self.core_output_size = int(cfg.rnn_size)

    @property
    def state_size(self) -> int:
        """Layers x (2 if LSTM) x rnn_size."""
        return self.core.num_layers * self.core.hidden_size * (2 if self.is_lstm else 1)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        y, hidden = self.core(x.unsqueeze(0), self._unpack(state))
        return y.squeeze(0), self._pack(hidden)

    def forward_sequence(self, x: Tensor, state: Tensor, episode_start: Tensor) -> tuple[Tensor, Tensor]:
        """A whole segment in one call, also with episodes starting inside it.

        Args:
            x: `[T, B, D]`.
            state: `[B, H]`, enters step 0.
            episode_start: `[T, B]` bool; the state is zero entering a step where it is True.

        Returns:
            `y [T, B, D']` and the state after the last step `[B, H]`.
        """
        state = state.masked_fill(episode_start[0].unsqueeze(-1), 0.0)
        if not bool(episode_start[1:].any()):
            y, hidden = self.core(x, self._unpack(state))
            return y, self._pack(hidden)

        # Every run between starts becomes a sequence of its own; together they cost no more steps than the longest.
        num_steps, num_rows = episode_start.shape
        split = split_at_starts(episode_start)
        first_state = torch.where(split.is_first.unsqueeze(-1), state[split.row], torch.zeros_like(state[:1]))
        packed = PackedSequence(x.flatten(0, 1)[split.gather], split.batch_sizes)
        out, hidden = self.core(packed, self._unpack(first_state))
        y = out.data[split.scatter].unflatten(0, (num_steps, num_rows))
        return y, self._pack(hidden)[split.last_of_row]

    def _unpack(self, state: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """`[B, H]` to what PyTorch takes: `[layers, B, size]`, for LSTM a pair of them."""
        layers = state.view(state.shape[0], self.core.num_layers, -1).transpose(0, 1)
        if not self.is_lstm:
            return layers.contiguous()
        hidden, cell = layers.chunk(2, dim=-1)
        return hidden.contiguous(), cell.contiguous()

    def _pack(self, hidden: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        layers = torch.cat(hidden, dim=-1) if isinstance(hidden, tuple) else hidden
        return layers.transpose(0, 1).flatten(1)


class _Split(NamedTuple):
    """How a `[T, B]` segment is cut into `N` sequences, longest first."""

    gather: Tensor  # [T * B] position in the flat segment of each packed element
    scatter: Tensor  # [T * B] position in the packed data of each element of the flat segment
    batch_sizes: Tensor  # [longest] on the CPU: how many sequences reach that step
    row: Tensor  # [N] which of the B rows a sequence belongs to
    is_first: Tensor  # [N] bool: begins at step 0, so it takes over the row's state
    last_of_row: Tensor  # [B] the sequence that ends at the last step of each row


def split_at_starts(episode_start: Tensor) -> _Split:
    """Cut every column of `episode_start [T, B]` where it is True, and order the pieces as `PackedSequence` wants.

    Index arithmetic on the CPU, since `batch_sizes` has to be there; the results are on the device of the argument.
    """
    device = episode_start.device
    num_steps, num_rows = episode_start.shape
    starts = episode_start.cpu().t().clone()  # [B, T]
    starts[:, 0] = True
    begin = starts.reshape(-1).nonzero().squeeze(1)  # [N] positions b * T + t, in order
    length = torch.diff(begin, append=torch.tensor([num_rows * num_steps]))
    order = torch.argsort(length, descending=True, stable=True)
    begin_sorted, length_sorted = begin[order], length[order]

    longest = int(length_sorted[0])
    # sequences that reach step k = all minus those of length <= k
    batch_sizes = begin.numel() - torch.cumsum(torch.bincount(length_sorted, minlength=longest + 1), 0)[:longest]
    step = torch.repeat_interleave(torch.arange(longest), batch_sizes)  # [T * B]
    first_of_step = torch.cumsum(batch_sizes, 0) - batch_sizes
    sequence = torch.arange(num_rows * num_steps) - first_of_step[step]
    position = begin_sorted[sequence] + step  # b * T + t
    gather = position % num_steps * num_rows + position // num_steps  # t * B + b
    scatter = torch.empty_like(gather)
    scatter[gather] = torch.arange(gather.numel())

    row = begin_sorted // num_steps
    ends_row = (begin_sorted + length_sorted) % num_steps == 0
    last_of_row = torch.empty(num_rows, dtype=torch.int64)
    last_of_row[row[ends_row]] = ends_row.nonzero().squeeze(1)
    is_first = begin_sorted % num_steps == 0
    return _Split(
        gather.to(device), scatter.to(device), batch_sizes, row.to(device), is_first.to(device), last_of_row.to(device)
    )


def redefines(module: nn.Module, name: str, without: str) -> bool:
    """Whether a subclass has redefined the method `name` and kept the old `without`, which knows nothing of it."""
    for cls in type(module).__mro__:
        if name in vars(cls) or without in vars(cls):
            return without not in vars(cls)
    return False


def run_sequence(core: nn.Module, x: Tensor, state: Tensor, episode_start: Tensor) -> tuple[Tensor, Tensor]:
    """Run any core through a segment.

    Args:
        core: uses its `forward_sequence` if it has one that goes with its `forward`, else steps its `forward`.
        x: `[T, B, D]`.
        state: `[B, H]`, enters step 0.
        episode_start: `[T, B]` bool; the state is zeroed before a step where it is True.

    Returns:
        `y [T, B, D']` and the state after the last step `[B, H]`.
    """
    sequence = getattr(core, "forward_sequence", None)
    if sequence is not None and not redefines(core, "forward", without="forward_sequence"):
        y, state = sequence(x, state, episode_start)
        return y, state
    outputs = []
    for x_t, start_t in zip(x, episode_start, strict=True):
        y_t, state = core(x_t, state.masked_fill(start_t.unsqueeze(-1), 0.0))
        outputs.append(y_t)
    return torch.stack(outputs), state


def run_past_gaps(
    run: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, state: Tensor, episode_start: Tensor, gap: Tensor
) -> Tensor:
    """Run a core through a segment some of whose steps are not there for it: the state passes them by.

    The steps that are there move together, in their order, and an episode that starts in a gap starts with the step
    behind it. So whatever can run a segment can do without some of its steps.

    Args:
        run: `(x, state, episode_start) -> y`, as `ActorCritic.forward_core_sequence`.
        x: `[T, B, D]`.
        state: `[B, H]`, enters the first step.
        episode_start: `[T, B]` bool.
        gap: `[T, B]` bool, steps to pass by.

    Returns:
        `y [T, B, D']`; what stands at the gaps is finite where `x` is, and means nothing.
    """
    order = gap.to(torch.int32).argsort(dim=0, stable=True)  # [T, B] the gaps come last
    episode = episode_start.cumsum(0).gather(0, order)
    start = episode.diff(dim=0, prepend=torch.zeros_like(episode[:1])) > 0
    y = run(_take_steps(x, order), state, start)
    return _take_steps(y, order.argsort(dim=0))


def _take_steps(x: Tensor, order: Tensor) -> Tensor:
    """Row `order[t, b]` of each column b of `x [T, B, D]` becomes its row t."""
    return x.gather(0, order.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def make_core(cfg: AttrDict, input_size: int, kind: str = "auto") -> ModelCore:
    """The built-in cores: `none`, `gru`, `lstm`; `auto` is what `--use_rnn` and `--rnn_type` say."""
    if kind == "auto":
        kind = cfg.rnn_type if cfg.use_rnn else "none"
    return ModelCoreIdentity(cfg, input_size) if kind == "none" else ModelCoreRNN(cfg, input_size, kind)
