"""Evaluates the newest checkpoint of a run while it trains, in a process of its own.

In: how far training is, checkpoints as they are saved. Out: results. Training never waits: one evaluation is under way
at a time, and where it takes longer than `--eval_every_env_steps`, the next one begins late, with the newest weights.
A failure is logged, and the next one is tried.

The checkpoint is kept under `.evaluating/` meanwhile (hard links, so it costs nothing), whatever `--keep_checkpoints`
says. With `--save_best_metric=eval_reward` it is that very checkpoint, not the newest one, that becomes the best.

This file imports no torch, like the runner of a parallel run; `child.py` is the process.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sf_core.cfg.checks import EVAL_REWARD
from sf_core.cfg.config import Config
from sf_core.plugins.plan import RunPlan
from sf_core.runner.processes.messages import Failed, Said
from sf_core.runner.processes.process import Role, pipe, start_process, why_it_ended
from sf_core.runner.processes.watchdog import Watchdog
from sf_core.runner.reports.evaluations import Evaluated
from sf_core.runner.signals import StopSignal
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log
from sf_core.utils.readable import with_error

_FOLDER = ".evaluating"
_NICENESS = 5  # more than the processes that train: they come first
_LOOK_S = 0.2  # between two looks at whether it is done
_PATIENCE_S = 2.0  # for a process that was told to end
_START_UP_FACTOR = 3  # importing a simulator may take longer than any step


@dataclass(frozen=True)
class Alive:
    """From the process of an evaluation: it plays."""


@dataclass(frozen=True)
class EvaluationTask:
    """What the process of an evaluation is started with.

    Attributes:
        cfg, plan: of the run.
        checkpoint: a copy of its own.
        best_reward: a higher mean return makes it the best checkpoint; None where evaluations do not decide that.
        checkpoints: the folder of the run's checkpoints.
    """

    cfg: Config
    plan: RunPlan
    checkpoint: Path
    best_reward: float | None
    checkpoints: Path
    control: Connection


def evaluation_entry(role: Role, task: EvaluationTask) -> None:
    """Become the process of an evaluation."""
    from sf_core.eval.child import evaluation_main

    evaluation_main(role, task)


@dataclass
class _Child:
    """An evaluation under way."""

    env_steps: int
    name: str  # of the checkpoint
    copy: Path
    process: BaseProcess
    control: Connection
    watchdog: Watchdog
    heard_s: float
    began: bool = False
    answer: Evaluated | None = None
    failure: str = ""


class PeriodicEvaluation:
    """`Evaluations` of one run.

    Raises:
        UsageError: something that the run is made of cannot be sent to another process.
    """

    def __init__(self, plan: RunPlan) -> None:
        try:
            plan.check_portable()
        except UsageError as error:
            sentence = str(error).replace("use --serial_mode=True", "leave out --eval_every_env_steps")
            raise UsageError(sentence) from error
        self._plan = dataclasses.replace(plan, observers=())  # these live in the runner, and need not be sendable
        self.last: Evaluated | None = None
        self._child: _Child | None = None
        self._wanted = False
        self._evaluated = ""  # name of the last checkpoint that was
        self._next_look_s = 0.0

    def begin(self, cfg: Config, directory: Path, checkpoints: Path, env_steps: int) -> None:
        """See `Evaluations`."""
        self._cfg, self._folder, self._checkpoints = cfg, directory / _FOLDER, checkpoints
        self._interval: int = cfg.eval_every_env_steps
        self._next_env_steps = self._after(env_steps)
        self._best: float | None = _best_so_far(checkpoints) if cfg.save_best_metric == EVAL_REWARD else None
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed

    def wants_checkpoint(self, env_steps: int) -> bool:
        """See `Evaluations`."""
        if self._wanted or self._child is not None or env_steps < self._next_env_steps:
            return False
        self._wanted = True
        return True

    def checkpoint_saved(self, path: Path) -> None:
        """See `Evaluations`; the best one and milestones are left to those they are for."""
        if self._wanted and path.parent == self._checkpoints and path.name.startswith("checkpoint_"):
            self._start(path)

    def finished(self) -> Evaluated | None:
        """See `Evaluations`."""
        if self._child is None or time.monotonic() < self._next_look_s:
            return None
        self._next_look_s = time.monotonic() + _LOOK_S
        return self._look(self._child)

    def finish(self, newest: Path | None) -> Iterator[Evaluated]:
        """See `Evaluations`. Ctrl+C leaves out what is still to come."""
        with StopSignal() as stop_signal:
            yield from self._wait(stop_signal)
            if newest is not None and newest.name != self._evaluated and not stop_signal.requested:
                self._start(newest)
                yield from self._wait(stop_signal)

    def abandon(self) -> None:
        """See `Evaluations`."""
        if self._child is not None:
            log.info("The evaluation of %s was abandoned", self._child.name)
            self._end(self._child)

    def _after(self, env_steps: int) -> int:
        return (env_steps // self._interval + 1) * self._interval

    def _wait(self, stop_signal: StopSignal) -> Iterator[Evaluated]:
        if self._child is not None:
            log.info("Waiting for the evaluation of %s; Ctrl+C leaves it out", self._child.name)
        while (child := self._child) is not None:
            if stop_signal.requested:
                self.abandon()
                return
            connection.wait([child.process.sentinel], _LOOK_S)
            if (evaluated := self._look(child)) is not None:
                yield evaluated

    # ---- the process ----

    def _start(self, path: Path) -> None:
        """Evaluate the checkpoint at `path`."""
        env_steps = int(path.name.rpartition("_")[2])
        self._wanted, self._evaluated = False, path.name
        self._next_env_steps = self._after(env_steps)
        copy = self._folder / path.name
        try:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(path, copy, copy_function=_link_or_copy)
        except OSError as error:
            log.error("%s cannot be evaluated (%s); training goes on", path.name, error)
            return
        # before --save_best_after nothing is the best
        best = self._best if env_steps >= self._cfg.save_best_after else None
        control, theirs = pipe()
        role = Role("sf-eval", 1, self._cfg.default_niceness + _NICENESS, runner=os.getpid())
        task = EvaluationTask(self._cfg, self._plan, copy, best, self._checkpoints, theirs)
        process = start_process(role, evaluation_entry, task)
        theirs.close()  # only the child has this end now, so its death is the end of the connection
        watchdog = Watchdog()
        assert process.pid is not None
        watchdog.watch(process.pid)
        self._child = _Child(env_steps, path.name, copy, process, control, watchdog, time.monotonic())

    def _look(self, child: _Child) -> Evaluated | None:
        """Hear it out; once it has ended, say what came of it."""
        is_over = not child.process.is_alive()
        self._hear(child)
        silence_s = time.monotonic() - child.heard_s
        limit_s = self._cfg.heartbeat_reporting_interval * (1 if child.began else _START_UP_FACTOR)
        if not is_over and silence_s > limit_s:
            child.failure, is_over = f"it was silent for {silence_s:.0f} s and is ended", True
        if not is_over:
            return None
        self._end(child)
        answer = child.answer
        if answer is None:
            reason = child.failure or why_it_ended("its process", child.process.exitcode)
            log.error("The evaluation of %s failed, training goes on: %s", child.name, reason)
            return None
        self.last = answer
        reward, result = answer.result["reward_mean"], answer.result
        log.info(
            "Evaluation at %s env steps: mean return %s over %d episodes, %.1f s%s",
            f"{answer.env_steps:,}", with_error(reward, result["reward_sem"], 3), result["episodes"], result["seconds"],
            "; the best so far" if answer.is_best else "",
        )  # fmt: skip
        if answer.is_best:
            self._best = reward
        return answer

    def _hear(self, child: _Child) -> None:
        try:
            while child.control.poll():
                message: Any = child.control.recv()
                child.heard_s = time.monotonic()
                if isinstance(message, Evaluated):
                    child.answer = message
                elif isinstance(message, Alive):
                    child.began = True
                elif isinstance(message, Said):
                    log.log(message.level, "sf-eval: %s", message.text)
                elif isinstance(message, Failed):
                    child.failure = message.sentence
                    log.debug("The evaluation failed:\n%s", message.trace)
        except (EOFError, OSError):
            pass  # its death follows

    def _end(self, child: _Child) -> None:
        """Nothing of it is left, simulators that it started included."""
        self._child = None
        child.control.close()
        if child.process.is_alive():
            child.process.kill()
        child.process.join(_PATIENCE_S)
        if child.process.pid is not None:
            child.watchdog.ended(child.process.pid)
        child.watchdog.close()
        shutil.rmtree(child.copy, ignore_errors=True)
        with suppress(OSError):
            self._folder.rmdir()


def _best_so_far(checkpoints: Path) -> float:
    """The mean return for which the run's best checkpoint was chosen."""
    rewards = []
    for path in checkpoints.glob(f"best_*_{EVAL_REWARD}_*/checkpoint.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            rewards.append(float(json.loads(path.read_text(encoding="utf-8"))["evaluation"]["reward_mean"]))
    return max(rewards, default=-math.inf)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
