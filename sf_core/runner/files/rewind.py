"""Takes back reports of what a run has to do again, since it goes on from an earlier moment.

In: the run's folder, the env steps it goes on from. Out: `metrics.jsonl` without later reports, which are kept beside
it. Not known here: why the run stopped.
"""

from __future__ import annotations

import json
import math
import os
from typing import BinaryIO

from sf_core.runner.files.run_folder import RunFolder


def rewind_metrics(folder: RunFolder, env_steps: int) -> int:
    """Move the lines of `metrics.jsonl` that come after `env_steps`, or are no reports, to `metrics_given_up.jsonl`.

    Returns:
        How many were moved. A run that is killed meanwhile has lost none of them.
    """
    try:
        lines = folder.metrics.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return 0
    is_kept = [_env_steps(line) <= env_steps for line in lines]
    if all(is_kept):
        return 0
    kept = [line for line, keep in zip(lines, is_kept, strict=True) if keep]
    given_up = [line for line, keep in zip(lines, is_kept, strict=True) if not keep]
    with folder.given_up_metrics.open("ab") as file:
        _write_through(file, b"".join(line.rstrip(b"\n") + b"\n" for line in given_up))
    temporary = folder.metrics.with_name(f".{folder.metrics.name}.tmp")
    with temporary.open("wb") as file:
        _write_through(file, b"".join(kept))
    temporary.replace(folder.metrics)
    return len(given_up)


def _env_steps(line: bytes) -> float:
    """Of one report; infinite for what is none, such as half a line."""
    try:
        return float(json.loads(line)["env_steps"]) if line.endswith(b"\n") else math.inf
    except (ValueError, KeyError, TypeError, RecursionError):
        return math.inf


def _write_through(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
