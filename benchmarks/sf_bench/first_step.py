"""When the first step of an env is taken: a time written to a file, once, by whoever steps first.

Standard library only: it is used in the env processes of every contender.
"""

from __future__ import annotations

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


def write_time(path: Path) -> None:
    """Write the time, unless another process was faster."""
    try:
        with path.open("x") as file:
            file.write(repr(time.monotonic()))
    except FileExistsError:
        pass


def read_time(path: Path) -> float | None:
    """What was written, if anything was."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return float(text) if text else None
