"""What a process may use: its share of the cores, set once."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores this process may run on (its affinity mask, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_thread_budget(num_threads: int) -> None:
    """Let torch use `num_threads` threads; 0 means every core this process may run on."""
    import torch

    torch.set_num_threads(num_threads or available_cores())
