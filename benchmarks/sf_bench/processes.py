"""Processes of a run that is being measured: their memory, and their certain end. Linux, from `/proc`.

In: the id of a process that was started with a session of its own. Out: numbers; nothing of it left alive.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PATIENCE_S = 5.0
_KILO = 1024


def descendants(pid: int) -> dict[int, str]:
    """Process id -> title or command line of everything below `pid`."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, _, rest = stat.read_text().partition(" (")
            state, parent = rest.rpartition(") ")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(number))
    found: dict[int, str] = {}
    queue = [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child)
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0")
                found[child] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def own_memory(pid: int) -> float:
    """Proportional set size without shared memory, in MB: rollout buffers are shared memory, libraries are not.

    Raises:
        OSError: the process is gone, or this is not Linux.
    """
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, _ = line.split()
        sizes[name] = int(size)
    return (sizes["Pss:"] - sizes.get("Pss_Shmem:", 0)) * _KILO / 1e6


def memory_of(pid: int, title: str) -> list[float]:
    """`own_memory` of every descendant whose title begins with `title`, or that calls itself so (`name_process`)."""
    found = []
    for child, line in descendants(pid).items():
        with contextlib.suppress(OSError):
            if line.startswith(title) or Path(f"/proc/{child}/comm").read_text().startswith(title):
                found.append(own_memory(child))
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its whole session, first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and _session_lives(process):
            time.sleep(0.05)
    process.wait()


def _session_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # buries the leader
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
