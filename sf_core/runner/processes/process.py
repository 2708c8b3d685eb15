"""Processes of a run: how one is started, and what it does first.

In: a title, what the process may use, what it shall do. Out: a running process that ends when the runner does. Knows
nothing of the work; imports no torch.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from sf_core.runner.processes.messages import Build, Failed, Said
from sf_core.runner.processes.watchdog import lead_group
from sf_core.utils.allocator import keep_freed_memory
from sf_core.utils.ctrl_c import ctrl_c_held_back, let_ctrl_c_through
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log
from sf_core.utils.process_facts import set_title, signal_of

START_METHOD = "SF_START_METHOD"
"""Environment variable: `spawn` (the default) or `forkserver`."""

GPUS = "CUDA_VISIBLE_DEVICES"

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_SPIN = {"GOMP_SPINCOUNT": "10000"}
"""How long libgomp's threads wait busily for more work: some 20 µs, enough from one layer to the next.

By default they go on for milliseconds, on the cores that environments and other processes could use by then: Pong
trains 1.2 times as fast with this on two cores, synchronous as asynchronous.
"""
_SPIN_IS_SET = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # by the user
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Role:
    """What a process is called and what it may use.

    Attributes:
        title: for `ps`.
        threads: of numerical libraries.
        niceness: added to that of the runner.
        cores: it is pinned to; empty for any.
        runner: process id of the runner.
        gpus: what `CUDA_VISIBLE_DEVICES` says in it; None is what it says in the runner.
    """

    title: str
    threads: int = 1
    niceness: int = 0
    cores: tuple[int, ...] = ()
    runner: int = 0
    gpus: str | None = None


def pipe() -> tuple[Connection, Connection]:
    """Both ends of a two-way connection between processes."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=True)
    return here, there


def start_process(role: Role, target: Callable[..., None], *args: Any) -> BaseProcess:
    """Run `target(role, *args)` in a process of its own, never by fork.

    The numerical libraries of the child read their number of threads, and how these wait, from the environment when
    they load.

    Raises:
        UsageError: the environment variable asks for another way to start it.
    """
    method = os.environ.get(START_METHOD) or "spawn"
    if method not in ("spawn", "forkserver"):
        raise UsageError(f"{START_METHOD}={method} is neither spawn nor forkserver; set it to one, or unset it.")
    context = multiprocessing.get_context(method)
    process: BaseProcess = context.Process(target=target, args=(role, *args), name=role.title)  # type: ignore[attr-defined]
    variables = dict.fromkeys(_THREAD_VARIABLES, str(role.threads))
    if not any(name in os.environ for name in _SPIN_IS_SET):
        variables |= _SPIN
    with _environment(variables), ctrl_c_held_back():
        process.start()
    return process


def begin_process(role: Role, control: Connection) -> None:
    """What every process does first: title, priority, cores, and how it ends when the runner does."""
    # both reach all processes (a terminal, a batch system); the runner decides what they mean
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    let_ctrl_c_through()
    signal.signal(signal.SIGTERM, _leave_to_runner)
    _end_with_runner(role.runner)
    lead_group()
    if role.gpus is not None:  # here, since a forkserver's children have the environment it was started with
        os.environ[GPUS] = role.gpus
    faulthandler.enable()  # a crash, or the SIGABRT that a silent process gets, leaves a stack dump on stderr
    set_title(role.title)
    try:
        if role.niceness and hasattr(os, "nice"):
            os.nice(role.niceness)
        if role.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, role.cores)
    except OSError as error:  # containers may forbid either
        log.debug("%s: %s", role.title, error)
    log.addHandler(_ToRunner(control))
    log.setLevel(logging.INFO)
    log.propagate = False


@contextmanager
def failures_to(control: Connection, *, leave_at_once: bool = False) -> Iterator[None]:
    """Report what went wrong, and end; when the runner is gone, end quietly.

    `leave_at_once` skips the interpreter's own end, which takes a library as large as torch a second.
    """
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # the other end is gone; whoever closed it knows why
        if leave_at_once:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        sys.exit(0)
    except Exception as error:
        sentence = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        try:
            control.send(Failed(sentence, isinstance(error, UsageError), traceback.format_exc()))
        except OSError:
            traceback.print_exc()
        sys.exit(1)


@contextmanager
def model_process(role: Role, control: Connection) -> Iterator[Build]:
    """Around the body of a process that has the model: begin, hear what to build, report failures."""
    begin_process(role, control)
    keep_freed_memory()
    with failures_to(control, leave_at_once=True):
        build = control.recv()
        assert isinstance(build, Build)
        yield build


def why_it_ended(title: str, exit_code: int | None) -> str:
    """A process that should not have ended, in words."""
    if name := signal_of(exit_code):
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"{title} was killed by {name}{hint}"
    return f"{title} ended with exit code {exit_code}"


_own_pid = os.getpid()


def _leave_to_runner(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _own_pid:  # a process that an env forked; it is not ours to keep alive
        os._exit(128 + number)


class _ToRunner(logging.Handler):
    """Sends what a process says to the runner, which knows the log file and the display."""

    def __init__(self, control: Connection) -> None:
        super().__init__()
        self._control = control

    def emit(self, record: logging.LogRecord) -> None:
        """One record as plain text."""
        with suppress(OSError):  # the runner is gone
            self._control.send(Said(record.levelno, self.format(record)))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_with_runner(runner: int) -> None:
    """On Linux the kernel kills this process when its parent dies; elsewhere it ends at the end of its connections."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):  # a C library without it
        return
    if multiprocessing.get_start_method(allow_none=True) != "forkserver" and not _alive(runner):
        os._exit(1)  # it died before we asked


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
