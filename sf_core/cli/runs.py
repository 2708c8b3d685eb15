"""The runs in some folders and what they have written, read without anything heavy.

In: folders. Out: one `Run` for each, with its configuration, its result and its metrics. Changes nothing.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sf_core.cfg.config import Config
from sf_core.cfg.saved import read_config
from sf_core.runner.files.run_folder import RunFolder
from sf_core.utils.errors import UsageError

_DEEPEST = 5  # folders below the one asked for; an experiment may have a `/` or two in its name
_TAIL = 1 << 16  # bytes, in which the last line of the metrics is looked for first


@dataclass(frozen=True)
class Run:
    """One run; `name` is how a person would call it among those asked for."""

    name: str
    path: Path

    @property
    def folder(self) -> RunFolder:
        """Where its files are."""
        return RunFolder(self.path.parent, self.path.name)

    @cached_property
    def config(self) -> Config:
        """What was asked for; empty where it cannot be read."""
        try:
            return read_config(self.path)
        except UsageError:
            return Config({})

    def result(self) -> Mapping[str, Any]:
        """`result.json`; empty while there is none."""
        try:
            result = json.loads(self.folder.result.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return result if isinstance(result, dict) else {}

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Every whole line of `metrics.jsonl`."""
        try:
            with self.folder.metrics.open("rb") as file:
                yield from filter(None, map(_parsed, file))
        except OSError:
            return

    def last_metrics(self) -> dict[str, Any]:
        """The last whole line; empty while there is none."""
        try:
            with self.folder.metrics.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                lines = file.read().splitlines()
        except OSError:
            return {}
        return next(filter(None, map(_parsed, reversed(lines))), {})


def find_runs(folders: Sequence[str]) -> list[Run]:
    """The runs at and below `folders`, sorted by name.

    Raises:
        UsageError: one of them is not there, or has no run in it.
    """
    runs: dict[Path, Run] = {}
    for text in folders:
        top = Path(text).expanduser()
        if not top.is_dir():
            raise UsageError(f"there is no folder {text}; name one that holds runs, such as train_dir.")
        found = list(_runs_below(top))
        if not found:
            raise UsageError(f"{text} holds no runs (folders with a config.json that sf-train wrote).")
        for path in found:
            name = path.relative_to(top).as_posix() if path != top else path.resolve().name
            runs.setdefault(path.resolve(), Run(name if len(folders) == 1 or path == top else path.as_posix(), path))
    times = Counter(run.name for run in runs.values())  # `a/pole b/pole` are two runs
    named = [Run(run.path.as_posix(), run.path) if times[run.name] > 1 else run for run in runs.values()]
    return sorted(named, key=lambda run: run.name)


def _runs_below(top: Path, depth: int = 0) -> Iterator[Path]:
    if RunFolder(top.parent, top.name).holds_a_run:
        yield top
        return
    if depth == _DEEPEST:
        return
    for entry in _entries(top):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _runs_below(entry, depth + 1)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # somebody else's, or gone meanwhile
        return []


def _parsed(line: bytes) -> dict[str, Any] | None:
    """None for half a line: one that is being written, or that a full disk cut off."""
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
