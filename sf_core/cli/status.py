"""`sf-status`: the runs of a folder at a glance.

Comes in: a command line. Leaves: a table or JSON on stdout. Reads small files only and imports nothing heavy.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sf_core.cli import tables
from sf_core.cli.runs import Run, find_runs
from sf_core.runner.files.run_lock import holder_of, trace_of
from sf_core.utils.errors import UsageError, report_usage_error
from sf_core.utils.readable import UNKNOWN, age, duration, number

SCHEMA = 1
_STATE_OF = {"success": "finished", "interrupted": "interrupted", "failure": "failed"}
_HEADER = ("RUN", "STATE", "ENV", "STEPS", "DONE", "RETURN", "FPS", "TIME", "REPORT", "CHECKPOINT")
_CHECKPOINT = re.compile(r"checkpoint_(\d{1,19})_(\d{1,19})")
_NUMBERS = ("STEPS", "DONE", "RETURN", "FPS", "TIME", "REPORT")


def main(argv: Sequence[str] | None = None) -> int:
    """List runs; returns 0, or 2 where there are none to list."""
    options = _parser().parse_args(argv)
    try:
        found = [status_of(run) for run in find_runs(options.folders or ["train_dir"])]
    except UsageError as error:
        return report_usage_error(error)
    try:
        if options.json:
            print(json.dumps({"schema": SCHEMA, "runs": found}, indent=2))
        else:
            for line in _text(found):
                print(tables.printable(line))
        sys.stdout.flush()
    except BrokenPipeError:  # `sf-status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sf-status",
        description="List the runs below a folder: what they do, how far they are, what they reach.",
        epilog="A run is running while its process lives, on whichever machine that shares the folder; finished, "
        "interrupted (Ctrl+C; the same command continues it) or failed after it; died where the process could not say "
        "(kill -9, out of memory, power).",
        allow_abbrev=False,
    )
    parser.add_argument("folders", nargs="*", metavar="DIR", help="a folder of runs, or a run; train_dir if left out")
    parser.add_argument("--json", action="store_true", help="machine-readable, schema 1")
    return parser


def status_of(run: Run) -> dict[str, Any]:
    """One run as an entry of the JSON; what is not known is None."""
    trace, result, config, last = trace_of(run.path), run.result(), run.config, run.last_metrics()
    state = trace if trace != "ended" else _STATE_OF.get(str(result.get("status")), "died")
    newest = result if state not in ("running", "died") else last  # else the result is that of an earlier session
    checkpoint = _newest_checkpoint(run.path)
    return {
        "name": run.name,
        "path": str(run.path.absolute()),
        "state": state,
        "reason": result.get("reason") if newest is result else None,
        "env": None if config.get("env") is None else str(config["env"]),
        "seed": config.get("seed"),
        "env_steps": _number(newest, "env_steps"),
        "done": _done(newest, config),
        "reward_mean": _number(newest, "reward_mean"),
        "fps": _number(newest, "fps"),
        "seconds": _number(newest, "seconds"),
        "checkpoint": checkpoint.name if checkpoint else None,
        "checkpoint_age_s": _age_s(checkpoint),
        "report_age_s": _age_s(run.folder.metrics),
        "process": holder_of(run.path) or None,
    }


def _done(newest: Mapping[str, Any], config: Mapping[str, Any]) -> float | None:
    """Fraction of the budget that is used up, by whichever limit comes first."""
    pairs = (("env_steps", "train_for_env_steps"), ("seconds", "train_for_seconds"))
    numbers = [(_number(newest, used), _number(config, limit)) for used, limit in pairs]
    parts = [used / limit for used, limit in numbers if used is not None and limit]
    return round(min(1.0, max(parts)), 4) if parts else None


def _number(values: Mapping[str, Any], name: str) -> Any:
    """A finite number, else None: the folder may be a stranger's."""
    value = values.get(name)
    return value if tables.is_number(value) else None


def _newest_checkpoint(path: Path) -> Path | None:
    """By the numbers in its name: in a folder that was copied, times say nothing."""
    found = [
        ([int(number) for number in match.groups()], folder)
        for folder in path.glob("checkpoint_p*/checkpoint_*")
        if (match := _CHECKPOINT.fullmatch(folder.name)) and _written(folder)
    ]
    return max(found)[1] if found else None


def _age_s(path: Path | None) -> float | None:
    stamp = _written(path) if path else 0.0
    return round(max(0.0, time.time() - stamp), 1) if stamp else None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0


def _text(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from tables.table(_HEADER, [_row(entry) for entry in entries], _NUMBERS)
    for entry in entries:
        if entry["state"] == "failed":
            yield f"  ! {entry['name']}: {entry['reason']}"
        elif entry["state"] == "died" and (process := entry["process"]):
            yield f"  ! {entry['name']}: process {process.get('pid')} on {process.get('host')} is gone without a word"
    states = Counter(entry["state"] for entry in entries)
    yield f"{len(entries)} run{'s' if len(entries) > 1 else ''}: " + ", ".join(
        f"{count} {state}" for state, count in states.most_common()
    )


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    def known(key: str) -> float:
        value = entry[key]
        return math.nan if value is None else float(value)

    steps, done = known("env_steps"), known("done")
    return (
        entry["name"],
        entry["state"],
        entry["env"] or UNKNOWN,
        f"{int(steps):,}" if math.isfinite(steps) else UNKNOWN,
        f"{100 * done:.0f} %" if math.isfinite(done) else UNKNOWN,
        number(known("reward_mean")),
        number(known("fps")),
        duration(known("seconds")),
        age(known("report_age_s")),
        age(known("checkpoint_age_s")),
    )
