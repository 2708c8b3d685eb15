"""Which device the policy lives on.

In: the word given to `--device`. Out: a `torch.device` that exists. Knows nothing of networks.
"""

from __future__ import annotations

import torch

from sf_core.utils.errors import UsageError


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: `auto`, `cpu`, `gpu`, `cuda:N` or `mps`.

    `auto` is the first CUDA device if there is one, else the CPU. It never picks `mps`, which for small networks is
    slower than the CPU beside it.

    Raises:
        UsageError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device("cuda" if name == "gpu" else name)
    except RuntimeError as error:
        raise UsageError(f"--device={name} is not a device; use auto, cpu, gpu, cuda:N or mps") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
        if index >= count:
            raise UsageError(f"--device={name}: this machine has {count} CUDA devices; use --device=auto or cpu")
        return torch.device("cuda", index)
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("--device=mps: Metal is not available on this machine; use --device=auto or cpu")
        return torch.device("mps")
    raise UsageError(f"--device={name} is not supported; use auto, cpu, gpu, cuda:N or mps")


def device_bytes(device: torch.device) -> tuple[int, int]:
    """Memory of a CUDA device that tensors of this process take, and that torch holds for them; (0, 0) elsewhere."""
    if device.type != "cuda":
        return 0, 0
    return torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
