"""Weights & Biases as an observer: `--with_wandb=True`, or `--observers wandb`.

In: the metrics of every report. Out: the same to `wandb_relay`, a process of its own, through a queue that forgets
rather than waits. Nothing W&B does can stop or slow the training: this process does not even import it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sf_core.plugins.observer import RunView, TrainingObserver
from sf_core.runner.files.run_folder import finite, write_json
from sf_core.utils.log import log
from sf_core.utils.status import ExperimentStatus

FILE_NAME = "wandb.json"
_MOST_WAITING = 1000  # reports; at one every ten seconds, those of almost three hours
_SHORT_WAIT_S = 2.0  # for the end of the upload, without a word
_LONG_WAIT_S = 60.0


class WandbObserver(TrainingObserver):
    """Sends every report to W&B. The id of the W&B run is kept in `wandb.json`, so a continued run continues it."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self._relay: _Relay | None = None

    def on_start(self, run: RunView) -> None:
        """Start the relay; it reports the address of the run when W&B answers."""
        cfg = self._cfg
        arguments = {
            "id": _id_of(run.directory),
            "name": cfg.experiment,
            "resume": "allow",
            "entity": cfg.wandb_user,
            "project": cfg.wandb_project,
            "group": cfg.wandb_group or cfg.env,
            "job_type": cfg.wandb_job_type,
            "tags": list(cfg.wandb_tags),
            "dir": os.path.abspath(os.path.expanduser(cfg.wandb_dir)),
            "config": finite(dict(cfg)),
        }
        self._relay = _Relay()
        self._relay.say({"init": arguments})

    def on_report(self, run: RunView, policy_id: int, env_steps: int, scalars: Mapping[str, float]) -> None:
        """Pass the scalars on."""
        if self._relay is not None:
            self._relay.say({"step": env_steps, "scalars": dict(scalars)})

    def on_stop(self, run: RunView, status: Any) -> None:
        """Let W&B finish, but not for ever."""
        if self._relay is not None:
            self._relay.finish(0 if status is ExperimentStatus.SUCCESS else int(status))


def _id_of(directory: Path) -> str:
    """The id of the W&B run that belongs to the run in `directory`: the one it had, also where it was moved to.

    A copy beside the original is another run, and two runs in one of W&B would overwrite each other's steps.
    """
    path, place = directory / FILE_NAME, str(directory.absolute())
    kept = _read(path)
    known, was_in = kept.get("id"), kept.get("directory")
    is_copy = was_in not in (None, place) and _read(Path(str(was_in)) / FILE_NAME).get("id") == known
    found = secrets.token_hex(6) if known is None or is_copy else str(known)
    if (found, place) != (known, was_in):
        write_json(path, {"schema": 1, "id": found, "directory": place})
    return found


def _read(path: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        kept = json.loads(path.read_text("utf-8"))
        return kept if isinstance(kept, dict) else {}
    return {}


class _Relay:
    """The other process, and two threads that talk with it."""

    def __init__(self) -> None:
        # not through multiprocessing, which would import the user's main script in the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sf_core.runner.reports.wandb_relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl+C in the terminal is for the runner
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._failed = False
        self._finishing = False
        self._directory: str | None = None
        self._threads = [threading.Thread(target=body, daemon=True) for body in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def say(self, message: Mapping[str, Any]) -> None:
        """Never waits: while W&B is too slow, what comes last is forgotten."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(json.dumps(message, default=str))

    def finish(self, exit_code: int) -> None:
        """Returns when everything was handed over, or after a minute."""
        self._finishing = True
        self.say({"finish": exit_code})
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        try:
            self._process.wait(_SHORT_WAIT_S)
        except subprocess.TimeoutExpired:
            log.info("Waiting for W&B (at most %.0f s) ...", _LONG_WAIT_S)
            try:
                self._process.wait(_LONG_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                where = f"; `wandb sync {self._directory}` uploads the rest" if self._directory else ""
                log.warning("W&B did not finish within %.0f s%s", _LONG_WAIT_S, where)
        for thread in self._threads:
            thread.join(_SHORT_WAIT_S)

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it ended; `_read` knows
            while (line := self._lines.get()) is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._hear(line.rstrip())
        self._process.stdout.close()
        code = self._process.wait()
        if code and not self._failed and not self._finishing:
            self._fail(f"it ended with exit code {code}")

    def _hear(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            log.debug("W&B: %s", line)
        elif "error" in message:
            self._fail(str(message["error"]))
        else:
            self._directory = message.get("directory")
            log.info("W&B: %s", message.get("url") or f"offline, in {self._directory}")

    def _fail(self, why: str) -> None:
        self._failed = True
        log.warning("W&B: %s; training goes on without it", why)
