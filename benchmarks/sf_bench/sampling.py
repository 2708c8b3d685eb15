"""Sampling only: the engine's own rooms around an env and a policy that cost nothing.

In: how many agents, split into how many groups and workers. Out: agent steps per second. Once in one process, and once
with rollout workers in processes of their own, where this process plays runner and inference: shared memory, eight
bytes per request, slots granted and given back, as in a run.
"""

from __future__ import annotations

import os
import selectors
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sf_bench.null_env import ACTION, OBSERVATION
from sf_bench.plugin import PLUGIN
from sf_bench.random_inference import RandomInference
from sf_core import parse_full_cfg, parse_sf_args
from sf_core.cfg.checks import check
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import env_info_of
from sf_core.envs.spaces import action_parts, num_action_parameters
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.shared_memory import SharedFile
from sf_core.rollout.slots import SlotTable
from sf_core.runner.layout import make_layout, place_groups
from sf_core.runner.processes.messages import Attach, Failed, Filled, Grant, Up
from sf_core.runner.processes.process import Role, pipe, start_process
from sf_core.runner.processes.rollout_process import RolloutTask, rollout_main
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.mailbox import MESSAGE, READ_SIZE
from sf_core.sampler.messages import InferenceRequest
from sf_core.sampler.rollout_worker import RolloutWorker

NUM_AGENTS = 1024
ROLLOUT = 32
_WAIT_S = 30.0


def settings(num_workers: int, envs_per_worker: int, splits: int) -> tuple[Any, Any]:
    """Configuration and plan of a run on the null env."""
    argv = [
        "-p", PLUGIN, "--env=bench_null", f"--rollout={ROLLOUT}", "--batch_size=1024", "--use_rnn=False",
        f"--num_workers={num_workers}", f"--num_envs_per_worker={envs_per_worker}", f"--worker_num_splits={splits}",
        "--seed=1", "--decorrelate_experience_max_seconds=0", "--device=cpu",
    ]  # fmt: skip
    parser, _ = parse_sf_args(argv)
    cfg = check(parse_full_cfg(parser, argv))
    return cfg, build_plan(cfg, get_manager(tuple(cfg.plugins or ())))


class SamplingLoop:
    """All groups in this process, each in its turn."""

    def __init__(self, num_agents: int = NUM_AGENTS, splits: int = 1) -> None:
        cfg, plan = settings(1, num_agents, splits)
        size = num_agents // splits
        self.buffers = RolloutBuffers(
            {"obs": OBSERVATION},
            action_parts(ACTION),
            num_action_parameters=num_action_parameters(ACTION),
            rnn_size=0,
            num_slots=2 * num_agents,
            num_agents=num_agents,
            rollout=ROLLOUT,
            recurrence=1,
        )
        vectors = [create_agent_vector(plan.env, cfg, size, first_env_id=i * size, seed=1) for i in range(splits)]
        self.worker = RolloutWorker(
            [EnvGroup(vector, self.buffers, first_agent=i * size) for i, vector in enumerate(vectors)]
        )
        self.inference = RandomInference(self.buffers, int(ACTION.n))
        self.slots = SlotTable(self.buffers.num_slots)
        self.worker.reset(1)
        self._requests: list[InferenceRequest | None] = [None] * splits

    def step(self) -> int:
        """One step of every group; returns how many agent steps that was."""
        taken = 0
        for index, group in enumerate(self.worker.groups):
            request = self._requests[index]
            if request is None:
                request = self.worker.begin(index, self.slots.claim(group.num_agents))
            else:
                request = self.worker.advance(index, request.t)
                taken += group.num_agents
            self.inference.answer([request])
            if request.t == ROLLOUT:
                self.slots.submit(request.slots)
                self.slots.release(self.slots.take(len(request.slots)))
                self._requests[index] = None
            else:
                self._requests[index] = request
        self.worker.finished_episodes()
        return taken


class SamplingProcesses:
    """Rollout workers in processes of their own; runner and inference here."""

    def __init__(self, num_workers: int, splits: int, num_agents: int = NUM_AGENTS) -> None:
        cfg, plan = settings(num_workers, num_agents // num_workers, splits)
        probe = create_agent_vector(plan.env, cfg, 1, seed=1)
        info = env_info_of(probe)
        probe.close()
        self._groups = place_groups(cfg, info.num_agents)
        layout = make_layout(cfg, info, self._groups, rnn_size=0, weights=())
        self._memory = SharedFile()
        self._memory.resize(layout.num_bytes())
        parts = layout.attach(self._memory)
        self._mailbox = parts.mailbox
        self._agent_numbers = [np.arange(place.agents.start, place.agents.stop) for place in self._groups]
        self._inference = RandomInference(parts.buffers, int(ACTION.n))
        self._slots = SlotTable(layout.num_slots)
        self._selector = selectors.DefaultSelector()
        self._controls, self._requests, self.processes = [], [], []
        for worker in range(num_workers):
            control, theirs = pipe()
            here, inference = pipe()
            task = RolloutTask(
                cfg=cfg,
                env=plan.env,
                worker=worker,
                groups=tuple(place for place in self._groups if place.worker == worker),
                vitals_row=2 + worker,
                attempt=0,
                first_wait_s=0.0,
                memory=self._memory,
                control=theirs,
                inference=(inference,),
            )
            role = Role(f"sf-rollout {worker}", 1, runner=os.getpid())
            self.processes.append(start_process(role, rollout_main, task))
            theirs.close()
            inference.close()
            self._controls.append(control)
            self._requests.append(here)
            self._selector.register(control, selectors.EVENT_READ, ("control", worker))
            self._selector.register(here, selectors.EVENT_READ, ("request", worker))
            control.send(Attach(layout, 1))
        for control in self._controls:
            message = control.recv()
            if isinstance(message, Failed):
                raise RuntimeError(message.trace)
            assert isinstance(message, Up)
        for place in self._groups:
            self._grant(place.group)

    def step(self) -> int:
        """Answer whoever asks; returns how many agent steps were asked for."""
        taken = 0
        events = self._selector.select(_WAIT_S)
        if not events:
            raise RuntimeError(f"rollout workers were silent for {_WAIT_S:.0f} s")
        for key, _ in events:
            kind, worker = key.data
            if kind == "control":
                message = self._controls[worker].recv()
                if isinstance(message, Filled):
                    self._grant(message.group)
                continue
            for group, t in MESSAGE.iter_unpack(os.read(key.fd, READ_SIZE)):
                place = self._groups[group]
                request = self._mailbox.read(group, t, place.agents, self._agent_numbers[group])
                self._inference.answer([request])
                os.write(key.fd, MESSAGE.pack(group, t))
                taken += place.num_agents if t else 0
                if t == ROLLOUT:
                    self._slots.submit(request.slots)
                    self._slots.release(self._slots.take(len(request.slots)))
        return taken

    def close(self) -> None:
        """End the processes: they see that nobody is there."""
        self._selector.close()
        for connection in (*self._controls, *self._requests):
            connection.close()
        for process in self.processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
        self._memory.close()

    def _grant(self, group: int) -> None:
        place = self._groups[group]
        self._controls[place.worker].send(Grant(group, self._slots.claim(place.num_agents)))


def rate_of(step: Callable[[], int], seconds: float) -> float:
    """Agent steps per second, after a tenth of the time as warm-up."""
    _steps_in(step, seconds / 10)
    return _steps_in(step, seconds)


def _steps_in(step: Callable[[], int], seconds: float) -> float:
    begin_s, taken = time.perf_counter(), 0
    while time.perf_counter() < begin_s + seconds:
        taken += step()
    return taken / (time.perf_counter() - begin_s)


@contextmanager
def _running(num_workers: int, splits: int) -> Iterator[Callable[[], int]]:
    if num_workers == 0:
        yield SamplingLoop(splits=splits).step
        return
    processes = SamplingProcesses(num_workers, splits)
    try:
        yield processes.step
    finally:
        processes.close()


ARRANGEMENTS = {
    "in one process": (0, 1),
    "1 worker process, 1 split": (1, 1),
    "1 worker process, 2 splits": (1, 2),
    "2 worker processes, 1 split": (2, 1),
    "2 worker processes, 2 splits": (2, 2),
}


def measure_sampling(
    seconds: float, repeat: int, put: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> dict[str, Any]:
    """Every arrangement, in turns; the section of the results."""
    section: dict[str, Any] = {"num_agents": NUM_AGENTS, "rollout": ROLLOUT, "rounds": {}, "summary": {}}
    for _ in range(repeat):
        for name, (num_workers, splits) in ARRANGEMENTS.items():
            try:
                with _running(num_workers, splits) as step:
                    rate = rate_of(step, seconds)
            except (RuntimeError, OSError) as error:
                say(f"sampling: {name}: FAILED: {error}")
                section.setdefault("errors", []).append(f"{name}: {error}")
                continue
            section["rounds"].setdefault(name, []).append(round(rate))
            say(f"sampling: {name}: {rate:,.0f} agent steps/s")
            section["summary"] = {how: statistics.median(rates) for how, rates in section["rounds"].items()}
            put(section)
    return section
