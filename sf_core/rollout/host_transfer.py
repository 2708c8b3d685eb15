"""Arrays from the host to an accelerator and back, through page-locked memory, so that neither side waits for each one.

In: numpy arrays, and tensors on the device. Out: tensors on the device, and numpy arrays. On the CPU arrays are turned
into tensors as they are, nothing is copied and nothing is allocated. Not known here: what the numbers mean.

A copy from ordinary memory makes the host wait until the driver has moved it page by page; one from page-locked memory
is queued. The memory is allocated once for each name, at the largest size seen, and written again only when the copy
out of it has ended. dtypes stay what they are: an image crosses the bus as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sf_core.envs.tensor_dtype import torch_dtype


class HostTransfer:
    """Both directions, for one device.

    Args:
        device: where tensors live.
        stream: where copies to the device are queued; None is whatever stream is current.
        staged: whether to go through memory of its own; the default is whether the device is a CUDA device.
    """

    def __init__(
        self, device: torch.device, stream: torch.cuda.Stream | None = None, staged: bool | None = None
    ) -> None:
        self.staged = device.type == "cuda" if staged is None else staged
        self._device = device
        self._stream = stream
        self._pin = device.type == "cuda"
        self._memory: dict[str, Tensor] = {}  # bytes
        self._copied: dict[str, torch.cuda.Event] = {}  # when the last copy out of it had ended

    def to_device(self, name: str, array: np.ndarray) -> Tensor:
        """A tensor like `array`, which may be written to again at once; on the CPU the tensor may be `array` itself.

        `name` says which memory to use; it should be about as large every time.
        """
        if not self.staged:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
        if name in self._copied:
            self._copied[name].synchronize()
        host = self._host(name, tuple(array.shape), torch_dtype(array.dtype))
        np.copyto(host.numpy(), array)
        with torch.cuda.stream(self._stream):  # nothing, where there is no stream
            tensor = host.to(self._device, non_blocking=True, copy=True)
            if self._pin:
                event = self._copied.setdefault(name, torch.cuda.Event())  # type: ignore[no-untyped-call]
                event.record(torch.cuda.current_stream(self._device))
        return tensor

    def to_host(self, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Arrays like `tensors`, valid until the next call with the same names. Waits for the device once."""
        if not self.staged:
            return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        arrays = {}
        for name, tensor in tensors.items():
            host = self._host(f"out/{name}", tuple(tensor.shape), tensor.dtype)
            host.copy_(tensor.detach(), non_blocking=True)
            arrays[name] = host.numpy()
        if self._pin:
            torch.cuda.current_stream(self._device).synchronize()
        return arrays

    def _host(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Page-locked memory of this name, in this shape."""
        num_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = self._memory.get(name)
        if memory is None or memory.numel() < num_bytes:
            memory = self._memory[name] = torch.empty(num_bytes, dtype=torch.uint8, pin_memory=self._pin)
        return memory[:num_bytes].view(dtype).view(shape)
