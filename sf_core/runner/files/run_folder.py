"""The folder of one run: where each file lives, and what happens when the folder is there already.

In: `train_dir`, `experiment`, `restart_behavior`. Out: paths and atomically written JSON. Knows nothing of what the
files mean to others.

    <train_dir>/<experiment>/
        config.json  plan.json  result.json  metrics.jsonl  sf_log.txt
        metrics_given_up.jsonl      reports of steps that were done again, if there were any
        .running                    held by the process that trains
        .summary/<policy>/          TensorBoard events
        checkpoint_p<policy>/       one folder per checkpoint
        bad_batches_p<policy>/      batches whose update was not finite, if there were any
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sf_core.cfg.saved import FILE_NAME as CONFIG_FILE
from sf_core.runner.files.run_lock import FILE_NAME as LOCK
from sf_core.runner.files.run_lock import RunLock, holder_of, trace_of
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log


class RunFolder:
    """Paths of one run. Building the object touches nothing; `prepare` does, and `release` lets go of it."""

    def __init__(self, train_dir: str | Path, experiment: str) -> None:
        self.path = Path(train_dir).expanduser().absolute() / experiment
        self._lock = RunLock(self.path)

    @property
    def config(self) -> Path:
        """`config.json`: every value and where it came from."""
        return self.path / CONFIG_FILE

    @property
    def plan(self) -> Path:
        """`plan.json`: components, plugins, versions, host, seed, command line."""
        return self.path / "plan.json"

    @property
    def result(self) -> Path:
        """`result.json`: how the run ended."""
        return self.path / "result.json"

    @property
    def metrics(self) -> Path:
        """`metrics.jsonl`: one object per report."""
        return self.path / "metrics.jsonl"

    @property
    def given_up_metrics(self) -> Path:
        """`metrics_given_up.jsonl`: reports of steps that were done again."""
        return self.path / "metrics_given_up.jsonl"

    @property
    def log(self) -> Path:
        """`sf_log.txt`: what was said while the run lasted."""
        return self.path / "sf_log.txt"

    def summaries(self, policy_id: int) -> Path:
        """TensorBoard events of one policy."""
        return self.path / ".summary" / str(policy_id)

    def checkpoints(self, policy_id: int) -> Path:
        """Checkpoints of one policy."""
        return self.path / f"checkpoint_p{policy_id}"

    def bad_batches(self, policy_id: int) -> Path:
        """Batches of one policy whose update was not finite."""
        return self.path / f"bad_batches_p{policy_id}"

    @property
    def holds_a_run(self) -> bool:
        """True where an earlier run left its configuration; a `config.json` of some other program is none."""
        try:
            saved = json.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(saved, dict) and {"schema", "values", "origins"} <= saved.keys()

    def check(self) -> None:
        """Refuse a folder that holds files of somebody else, or that cannot be written; touches nothing.

        Raises:
            UsageError: the folder holds files but no run, so it is not ours to write into or delete; it holds other
                runs; another process trains in it; or this user may not write there.
        """
        try:
            self._check()
        except PermissionError as error:
            raise UsageError(f"{self.path} cannot be read ({error.strerror}); choose another --train_dir.") from error

    def _check(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; choose another --experiment or --train_dir.")
        if self.path.exists() and any(map(_is_of_somebody, self.path.iterdir())) and not self.holds_a_run:
            raise UsageError(
                f"{self.path} holds files but no run (no config.json of one); choose another --experiment or "
                "--train_dir."
            )
        if self.path.exists() and any(self.path.glob("*/config.json")):
            raise UsageError(f"{self.path} holds other runs; choose another --experiment or --train_dir.")
        if trace_of(self.path) == "running":
            raise self._in_use()
        for path in (self.path, self.checkpoints(0)):  # somebody may have copied them with other rights
            folder = next(folder for folder in (path, *path.parents) if folder.exists())
            if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
                raise UsageError(f"{folder} cannot be written to; choose another --train_dir.")

    def prepare(self, restart_behavior: str) -> None:
        """Make the folder ready: `resume` keeps it, `restart` moves an old one aside, `overwrite` deletes it.

        Raises:
            UsageError: see `check`.
        """
        self.check()
        if self.holds_a_run:
            if restart_behavior == "restart":
                moved = self._unused_name()
                self.path.rename(moved)
                log.info("The earlier run was moved to %s", moved)
            elif restart_behavior == "overwrite":
                doomed = self.path.with_name(f".{self.path.name}.deleted")  # what is left of it is never half a run
                shutil.rmtree(doomed, ignore_errors=True)
                self.path.rename(doomed)
                shutil.rmtree(doomed)
                log.info("The earlier run in %s was deleted (--restart_behavior=overwrite)", self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be made ({error.strerror}); choose another --train_dir.") from error
        if not self._lock.acquire():
            raise self._in_use()

    def release(self) -> None:
        """The run is over, and its files are written."""
        self._lock.release()

    def _in_use(self) -> UsageError:
        holder = holder_of(self.path)
        who = f"process {holder['pid']} on {holder['host']}" if {"pid", "host"} <= holder.keys() else "another process"
        return UsageError(f"{self.path} is being trained by {who}; stop that first, or choose another --experiment.")

    def _unused_name(self) -> Path:
        number = 1
        while (candidate := self.path.with_name(f"{self.path.name}_old{number:04d}")).exists():
            number += 1
        return candidate


def _is_of_somebody(file: Path) -> bool:
    """False for what a run writes first: its lock, and its configuration, if it was killed meanwhile."""
    return file.name != LOCK and not (file.name.startswith(f".{CONFIG_FILE}.") and file.suffix == ".tmp")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write `data` so that a reader sees the old file or the whole new one. Non-finite numbers become null."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(finite(data), file, indent=2, default=str, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def finite(value: Any) -> Any:
    """`value` with NaN and infinities replaced by None, since JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
