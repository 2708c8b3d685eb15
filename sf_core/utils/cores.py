"""Cores that this process may run on: its affinity mask, where the system has one."""

from __future__ import annotations

import os


def available_cores() -> int:
    """How many there are."""
    return len(core_numbers()) or os.cpu_count() or 1


def core_numbers() -> tuple[int, ...]:
    """Their numbers; empty where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return ()
