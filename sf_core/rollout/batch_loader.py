"""Datasets from the rollout buffers to the learner's device, the next one while the learner is busy with the last.

In: buffers and slots. Out: `TrainBatch`es. Where buffers and learner share a device this is `take_batch` and nothing
else; from the host to a CUDA device a thread gathers the rollouts into page-locked memory and queues the copies on a
stream of its own. Not known here: who owns the slots; they must stay taken until the batch was used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sf_core.rollout.buffers import FieldArrays, RolloutBuffers
from sf_core.rollout.host_transfer import HostTransfer
from sf_core.rollout.train_batch import TrainBatch, read_batch, take_batch


class BatchLoader:
    """Loads one dataset after the other.

    Args:
        buffers: where rollouts are.
        device: where the learner is.
        staged: whether to load in a thread; the default is whether the way leads from the host to a CUDA device.
    """

    def __init__(self, buffers: FieldArrays[Any], device: torch.device, staged: bool | None = None) -> None:
        self._buffers, self._device = buffers, device
        cuda = device.type == "cuda" and isinstance(buffers, RolloutBuffers)
        self._stream = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]
        self._thread: ThreadPoolExecutor | None = None
        if cuda if staged is None else staged:
            self._thread = ThreadPoolExecutor(1, "sf-batch-loader")
            self._transfer = HostTransfer(device, self._stream, staged=True)

    def begin(self, slots: NDArray[np.integer[Any]] | Sequence[int]) -> Callable[[], TrainBatch]:
        """Start loading; the returned function waits until the batch can be used."""
        if self._thread is None:
            return lambda: take_batch(self._buffers, slots, self._device)
        loading = self._thread.submit(self._load, slots)

        def finish() -> TrainBatch:
            batch, loaded = loading.result()
            if loaded is not None:
                current = torch.cuda.current_stream(self._device)
                current.wait_event(loaded)
                for tensor in batch.tensors():
                    tensor.record_stream(current)  # its memory must not be reused before the learner is done with it
            return batch

        return finish

    def _load(self, slots: NDArray[np.integer[Any]] | Sequence[int]) -> tuple[TrainBatch, torch.cuda.Event | None]:
        batch = read_batch(self._buffers, slots, self._transfer.to_device)
        if self._stream is None:
            return batch, None
        loaded = torch.cuda.Event()  # type: ignore[no-untyped-call]
        loaded.record(self._stream)
        return batch, loaded
