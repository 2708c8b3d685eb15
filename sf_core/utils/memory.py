"""How much memory there is, where the system says so."""

from __future__ import annotations

import os
from pathlib import Path


def free_bytes() -> int | None:
    """Memory that new processes may take without anything being swapped out; None where nobody says.

    That of the machine, or what a container still allows (control groups, version 2) if that is less.
    """
    free = [number for number in (_of_the_machine(), _of_the_container()) if number is not None]
    return min(free, default=None)


def own_bytes() -> int:
    """Memory of this process; 0 where nobody says."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def _of_the_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):  # not Linux
        return None


def _of_the_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        limit, used = int((root / "memory.max").read_text()), int((root / "memory.current").read_text())
        statistics = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(statistics.get("inactive_file", 0)))  # cached files give way
    except (OSError, ValueError):  # no container, or none with a limit ("max")
        return None
