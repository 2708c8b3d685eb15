"""The acting step as a CUDA graph: one launch instead of one for every small kernel.

In: a function of tensors whose rows do not mix. Out: the same function, recorded once for each size of batch and then
replayed. A recording has fixed memory and fixed sizes, so batches are copied into it and padded to a power of two; what
stands in the rows of padding is computed and ignored. Weights are read where they lie, so whoever changes them in place
needs no new recording. Not known here: networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Mapping[str, Tensor], Tensor, "Tensor | None"], dict[str, Any]]
_WARM_UPS = 3  # runs before a recording, in which libraries choose their kernels and allocate their workspaces


def capture(run: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Record what `run` launches; the returned function launches it again and returns the same tensors, rewritten."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()

    def replay() -> dict[str, Any]:
        graph.replay()
        return result

    return replay


class ReplayedStep:
    """`step`, replayed. Results are valid until the next call.

    Args:
        step: takes inputs `{key: [N, ...]}`, states `[N, H]` and a mask `[N, C]` or None; returns tensors `[N, ...]`.
        record: makes of a function without arguments one that repeats it.
    """

    def __init__(
        self, step: Step, record: Callable[[Callable[[], dict[str, Any]]], Callable[[], dict[str, Any]]] = capture
    ) -> None:
        self._step = step
        self._record = record
        self._recorded: dict[int, _Recording] = {}

    @torch.no_grad()
    def __call__(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> dict[str, Any]:
        """See `step`."""
        num_rows = rnn_state.shape[0]
        size = padded_size(num_rows)
        recording = self._recorded.get(size)
        if recording is None:
            recording = self._recorded[size] = _Recording(size, inputs, rnn_state, mask)
        recording.fill(inputs, rnn_state, mask)
        if recording.replay is None:
            recording.replay = self._record(lambda: self._step(recording.inputs, recording.rnn_state, recording.mask))
        return {name: x[:num_rows] if isinstance(x, Tensor) else x for name, x in recording.replay().items()}


class _Recording:
    """Fixed memory for the arguments of one size of batch."""

    def __init__(self, size: int, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> None:
        self.inputs = {key: _padded(x, size) for key, x in inputs.items()}
        self.rnn_state = _padded(rnn_state, size)
        self.mask = None if mask is None else _padded(mask, size)
        self.replay: Callable[[], dict[str, Any]] | None = None

    def fill(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> None:
        """Copy a batch into the first rows."""
        num_rows = rnn_state.shape[0]
        for key, x in inputs.items():
            self.inputs[key][:num_rows].copy_(x)
        self.rnn_state[:num_rows].copy_(rnn_state)
        if mask is not None and self.mask is not None:
            self.mask[:num_rows].copy_(mask)


def padded_size(num_rows: int) -> int:
    """The least power of two that is at least `num_rows`, so that there are few recordings."""
    return 1 << max(0, num_rows - 1).bit_length()


def _padded(x: Tensor, size: int) -> Tensor:
    """Zeros `[size, ...]` in the memory order of `x` (images are channels_last)."""
    zeros = torch.zeros(size, *x.shape[1:], dtype=x.dtype, device=x.device)
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return zeros.contiguous(memory_format=torch.channels_last)
    return zeros
