"""What env processes of every contender do for the benchmarks: note when the first step is taken, say who they are.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

VARIABLE = "BENCH_FIRST_STEP"  # environment: the file


def note_first_step(env: Any) -> Any:
    """The same env. Its first step writes `time.monotonic()` where the environment says, if nobody has."""
    path = os.environ.get(VARIABLE)
    if not path:
        return env
    step = env.step

    def first_step(action: Any) -> Any:
        write_time(Path(path))
        env.step = step
        return step(action)

    env.step = first_step
    return env


def name_process(name: str) -> None:
    """Give this process a name (15 letters) to be found by, where it has no title; nothing happens but on Linux."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def write_time(path: Path) -> None:
    """Write the time, unless another process was faster."""
    with contextlib.suppress(FileExistsError), path.open("x") as file:
        file.write(repr(time.monotonic()))


def read_time(path: Path) -> float | None:
    """What was written, if anything was."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return float(text) if text else None
