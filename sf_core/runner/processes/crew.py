"""The processes of a run: who they are, what they may use, how they begin and end.

In: configuration and plan, the env's facts, the layout of shared memory. Out: connections to every process. Knows
nothing of slots and datasets (`parallel.py`).
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import reduction
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from sf_core.cfg.config import Config
from sf_core.plugins.plan import RunPlan
from sf_core.rollout.shared_memory import SharedFile
from sf_core.runner.layout import GroupPlace
from sf_core.runner.processes.messages import Connect
from sf_core.runner.processes.process import GPUS, Role, pipe, start_process
from sf_core.runner.processes.watchdog import Watchdog
from sf_core.utils.cores import core_numbers
from sf_core.utils.errors import UsageError

_PATIENCE_S = 4.0  # for a process that was asked to end; envs are being closed


@dataclass
class Member:
    """One process and the connection to it.

    Attributes:
        index: among the processes of its kind.
        vitals_row: its row in the signs of life.
        up: it said that it is ready.
        proved: it has done its work once; what fails later is worth another try.
        failure: what it said before it ended, or why it was ended.
        ending_s: when it was told to end because it was silent.
    """

    kind: str  # learner, inference or rollout
    index: int
    role: Role
    vitals_row: int
    process: BaseProcess
    control: Connection
    started_s: float = field(default_factory=time.monotonic)
    up: bool = False
    proved: bool = False
    failure: str = ""
    ending_s: float = 0.0

    @property
    def title(self) -> str:
        """As `ps` shows it."""
        return self.role.title


class Crew:
    """Starts and ends processes.

    Attributes:
        learner: the one that trains.
        inference: those that act.
        workers: those that step envs, by index; empty until they are started.
    """

    def __init__(self, cfg: Config, plan: RunPlan, memory: SharedFile) -> None:
        """Start learner and inference at once: importing torch takes longer than looking at the env."""
        self._plan, self._memory = plan, memory
        self._nice = cfg.default_niceness
        self.workers: dict[int, Member] = {}
        self.inference: list[Member] = []
        self._closed = False
        self._watchdog = Watchdog()
        cores = cfg.torch_threads
        # in an asynchronous run everybody works at the same time: a second thread of the learner on two cores speeds up
        # Pong (342 -> 424 steps/s) and slows down Doom (849 -> 650) and small networks (24.8k -> 19.3k)
        learner_threads = max(1, cores // 2) if cfg.async_rl else cores
        inference_threads = max(1, (cores // 4 if cfg.async_rl else cores) // cfg.policy_workers_per_policy)
        try:
            self.learner = self._start_learner(learner_threads)
            for index in range(cfg.policy_workers_per_policy):
                self.inference.append(self._start_inference(index, inference_threads))
        except BaseException:
            self.close()
            raise

    def members(self) -> Iterator[Member]:
        """Every process there is."""
        if hasattr(self, "learner"):
            yield self.learner
        yield from self.inference
        yield from self.workers.values()

    def start_worker(self, cfg: Config, groups: tuple[GroupPlace, ...], worker: int, attempt: int = 0) -> Member:
        """Start one rollout worker and introduce it to inference."""
        from sf_core.runner.processes.rollout_process import RolloutTask, rollout_main

        row = 1 + len(self.inference) + worker
        cores = _cores_of(worker, cfg.num_workers) if cfg.set_workers_cpu_affinity else ()
        gpus = gpu_of(worker, cfg.actor_worker_gpus, os.environ.get(GPUS))
        role = Role(f"sf-rollout {worker}", 1, self._nice, cores, os.getpid(), gpus)
        here, there = pipe()
        pairs = [pipe() for _ in self.inference]
        longest = 0 if cfg.benchmark or not cfg.async_rl or attempt else cfg.decorrelate_experience_max_seconds
        task = RolloutTask(
            cfg=cfg,
            env=self._plan.env,
            worker=worker,
            groups=tuple(place for place in groups if place.worker == worker),
            vitals_row=row,
            attempt=attempt,
            first_wait_s=longest * worker / cfg.num_workers,
            memory=self._memory,
            control=there,
            inference=tuple(theirs for theirs, _ in pairs),
        )
        process = self._start(role, rollout_main, task)
        there.close()  # only the child has this end now, so its death is the end of the connection
        member = self.workers[worker] = Member("rollout", worker, role, row, process, here)
        for inference, (theirs, ours) in zip(self.inference, pairs, strict=True):
            theirs.close()
            inference.control.send(Connect(worker))
            reduction.send_handle(inference.control, ours.fileno(), inference.process.pid)
            ours.close()
        return member

    def close(self) -> None:
        """Hang up on everybody, and wait until all have ended, if need be by force."""
        members = [] if self._closed else list(self.members())
        for member in members:
            member.control.close()
        deadline = time.monotonic() + _PATIENCE_S
        for member in members:
            member.process.join(max(0.05, deadline - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            self.ended(member)
        self._closed = True
        self._watchdog.close()

    def ended(self, member: Member) -> None:
        """A process is gone; what it started itself ends, too."""
        if member.process.pid is not None:
            self._watchdog.ended(member.process.pid)

    def _start(self, role: Role, target: Callable[..., None], *args: Any) -> BaseProcess:
        process = start_process(role, target, *args)
        assert process.pid is not None
        self._watchdog.watch(process.pid)
        return process

    def _start_learner(self, threads: int) -> Member:
        from sf_core.runner.processes.entry import learner_entry

        role = Role("sf-learner 0", threads, self._nice, runner=os.getpid())
        here, there = pipe()
        plan = dataclasses.replace(self._plan, observers=())  # these live in the runner, and need not be sendable
        process = self._start(role, learner_entry, plan, self._memory, there)
        there.close()
        return Member("learner", 0, role, 0, process, here)

    def _start_inference(self, index: int, threads: int) -> Member:
        from sf_core.runner.processes.entry import inference_entry

        role = Role(f"sf-inference 0.{index}", threads, self._nice, runner=os.getpid())
        here, there = pipe()
        process = self._start(role, inference_entry, self._plan.model, index, 1 + index, self._memory, there)
        there.close()
        return Member("inference", index, role, 1 + index, process, here)


def gpu_of(worker: int, gpus: Sequence[int], visible: str | None) -> str | None:
    """The one GPU that the envs of a worker see: `gpus` in turns, counted among those the run sees; None for no say.

    Args:
        worker: its index.
        gpus: `--actor_worker_gpus`.
        visible: `CUDA_VISIBLE_DEVICES` of the run; its entries may be numbers or identifiers (`GPU-...`, `MIG-...`).

    Raises:
        UsageError: the run does not see that many.
    """
    if not gpus:
        return None
    gpu = gpus[worker % len(gpus)]
    if visible is None:
        return str(gpu)
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if gpu >= len(names):
        raise UsageError(
            f"--actor_worker_gpus names GPU {gpu}, but {GPUS}={visible} lets this run see {len(names)}; they are "
            "counted from 0 among those."
        )
    return names[gpu]


def _cores_of(worker: int, num_workers: int) -> tuple[int, ...]:
    """An equal share of the cores for each worker, where they divide evenly; else any."""
    cores = core_numbers()
    if not cores:
        return ()
    if num_workers % len(cores) == 0:
        return (cores[worker % len(cores)],)
    if len(cores) % num_workers == 0:
        share = len(cores) // num_workers
        return cores[worker * share : (worker + 1) * share]
    return ()
