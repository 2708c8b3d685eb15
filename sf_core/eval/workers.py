"""Rollout workers of the parallel engine play for a policy of this process.

In: a policy, the plan of an env, how many workers and envs. Out: an `Evaluation`. Knows nothing of checkpoints,
folders or printing.

The workers are those that training has, with their shared memory; only nobody learns from the rollouts. Unlike in
training all envs are answered together, and only when all have asked, so that the policy always sees the same rows and
draws the same numbers for them: equal seeds give equal episodes, those that one process plays with as many envs. With
`--worker_num_splits=2` they are two parts with random numbers of their own: one is answered while the other steps.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from sf_core.cfg.config import Config
from sf_core.envs.env_info import EnvInfo
from sf_core.eval.episodes import Counting, Evaluation
from sf_core.model.policy import Policy
from sf_core.plugins.plan import EnvError, RunPlan
from sf_core.rollout.shared_memory import SharedFile, check_memory
from sf_core.runner.layout import GroupPlace, SharedLayout, derived_seed, place_groups
from sf_core.runner.processes.messages import Attach, EnvFailed, Failed, Filled, Grant, Said, Up
from sf_core.runner.processes.process import Role, pipe, start_process, why_it_ended
from sf_core.runner.processes.rollout_process import RolloutTask, rollout_main
from sf_core.runner.processes.watchdog import Watchdog
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.mailbox import MESSAGE, READ_SIZE
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

_ROLLOUT = 16  # steps between two reports of a group; what it plays beyond its last episode is fewer than these
_LONGEST_WAIT_S = 1.0
_PATIENCE_S = 4.0  # for a worker that was asked to end; envs are being closed
_START_UP_FACTOR = 3  # importing a simulator may take longer than any step


def evaluate_in_workers(
    policy: Policy,
    plan: RunPlan,
    cfg: Config,
    info: EnvInfo,
    num_episodes: int,
    *,
    seed: int,
    deterministic: bool = False,
    env_steps: int = 0,
) -> Evaluation:
    """Play until every env has contributed its share of `num_episodes` (see `episodes.py`).

    Args:
        policy: acts with frozen statistics.
        plan: of the env.
        cfg: `num_workers`, `num_envs_per_worker`, `worker_num_splits` (the number of parts) and what the env reads.
        info: spaces and agents of the env.
        num_episodes: whole episodes to count; games, where several agents play together.
        seed: of the envs and of the sampled actions.
        deterministic: greedy actions instead of sampled ones.
        env_steps: how far training was, for envs that want to know.

    Raises:
        UsageError: the env cannot be made in another process.
        EnvError: an env raised, or its process died or was silent for too long. Going on without its episodes would
            leave out just those that lead there.
    """
    plan.check_portable()
    cfg = cfg.replace(
        "engine",
        policy_workers_per_policy=1,
        decorrelate_envs_on_one_worker=False,  # episodes begin where they begin
        decorrelate_experience_max_seconds=0,
    )
    counting = Counting(num_episodes, cfg.num_workers * cfg.num_envs_per_worker, info.num_agents, seed)
    with _Evaluator(policy, plan, cfg, info, seed, deterministic, env_steps) as evaluator:
        evaluator.play(counting)
    return counting.evaluation()


@dataclass
class _Worker:
    title: str
    process: BaseProcess
    control: Connection
    requests: Connection
    started_s: float = field(default_factory=time.monotonic)
    up: bool = False


@dataclass
class _Part:
    """Groups that are answered together."""

    inference: InferenceWorker
    groups: frozenset[int]
    asked: dict[int, int] = field(default_factory=dict)  # group -> row it asks about
    filled: set[int] = field(default_factory=set)


class _Evaluator:
    def __init__(
        self,
        policy: Policy,
        plan: RunPlan,
        cfg: Config,
        info: EnvInfo,
        seed: int,
        deterministic: bool,
        env_steps: int,
    ) -> None:
        self._cfg, self._env_steps = cfg, env_steps
        self._groups = place_groups(cfg, info.num_agents)
        num_agents = sum(place.num_agents for place in self._groups)
        layout = SharedLayout(
            observation_space=info.observation_space,
            action_space=info.action_space,
            num_slots=num_agents,  # every agent has its own and keeps it
            rollout=_ROLLOUT,
            recurrence=_ROLLOUT,
            rnn_size=policy.rnn_size,
            weights=(),
            groups=self._groups,
            num_processes=cfg.num_workers,
        )
        check_memory(layout.num_bytes())
        self._memory = SharedFile()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._watchdog = Watchdog()
        try:
            self._memory.resize(layout.num_bytes())
            self._shared = layout.attach(self._memory)
            self._parts = self._make_parts(policy, num_agents, seed, deterministic)
            for index in range(cfg.num_workers):
                self._workers.append(self._start_worker(plan, index))
                self._workers[index].control.send(Attach(layout, seed))
                self._listen_to(index)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def play(self, counting: Counting) -> None:
        """Until every episode that counts was played."""
        waiting = len(self._workers)
        while waiting:
            for index, message in self._heard():
                assert isinstance(message, Up)
                self._workers[index].up = True
                waiting -= 1
        for part in self._parts:
            self._grant(part)
        while not counting.is_complete():
            for _, message in self._heard():
                assert isinstance(message, Filled)
                counting.add(message.episodes)
                part = self._part_of(message.group)
                part.filled.add(message.group)
                if part.filled == part.groups:
                    self._grant(part)
            for part in self._parts:
                if part.asked.keys() == part.groups:
                    self._answer(part, counting)

    def close(self) -> None:
        """Hang up on the workers, and wait until all have ended, if need be by force."""
        for worker in self._workers:
            worker.control.close()
            worker.requests.close()
        deadline_s = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            worker.process.join(max(0.05, deadline_s - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            assert worker.process.pid is not None
            self._watchdog.ended(worker.process.pid)
        self._selector.close()
        self._watchdog.close()
        self._memory.close()

    # ---- start ----

    def _make_parts(self, policy: Policy, num_agents: int, seed: int, deterministic: bool) -> list[_Part]:
        num_parts = len(self._groups) // self._cfg.num_workers
        parts = []
        for index in range(num_parts):
            # the first part draws what all envs together would draw in one process
            generator = torch.Generator(device=policy.device).manual_seed(derived_seed(seed, index) if index else seed)
            inference = InferenceWorker(
                policy, self._shared.buffers, num_agents, deterministic=deterministic, generator=generator
            )
            groups = frozenset(place.group for place in self._groups if place.group % num_parts == index)
            parts.append(_Part(inference, groups))
        return parts

    def _start_worker(self, plan: RunPlan, index: int) -> _Worker:
        role = Role(f"sf-rollout {index}", 1, self._cfg.default_niceness, runner=os.getpid())
        (control, theirs), (requests, answers) = pipe(), pipe()
        task = RolloutTask(
            cfg=self._cfg,
            env=plan.env,
            worker=index,
            groups=tuple(place for place in self._groups if place.worker == index),
            vitals_row=index,
            attempt=0,
            first_wait_s=0.0,
            memory=self._memory,
            control=theirs,
            inference=(answers,),
        )
        process = start_process(role, rollout_main, task)
        theirs.close()  # only the child has these ends now, so its death is their end
        answers.close()
        assert process.pid is not None
        self._watchdog.watch(process.pid)
        return _Worker(role.title, process, control, requests)

    def _listen_to(self, index: int) -> None:
        worker = self._workers[index]
        for source in (worker.control, worker.requests, worker.process.sentinel):
            self._selector.register(source, selectors.EVENT_READ, index)

    # ---- the loop ----

    def _heard(self) -> list[tuple[int, Up | Filled]]:
        """Wait until somebody says something; requests are noted, the rest is returned with whose it is."""
        said: list[tuple[int, Up | Filled]] = []
        for key, _ in self._selector.select(_LONGEST_WAIT_S):
            worker = self._workers[key.data]
            if key.fileobj is worker.requests:
                self._note_requests(worker)
            elif key.fileobj is worker.control:
                said += [(key.data, message) for message in self._messages(worker)]
            else:
                said += [(key.data, message) for message in self._messages(worker)]  # it may have said why
                worker.process.join()
                raise EnvError(why_it_ended(worker.title, worker.process.exitcode))
        self._check_signs_of_life()
        return said

    def _note_requests(self, worker: _Worker) -> None:
        try:
            data = os.read(worker.requests.fileno(), READ_SIZE)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(worker.requests)  # its death follows
        for group, t in MESSAGE.iter_unpack(data):
            self._part_of(group).asked[group] = t

    def _messages(self, worker: _Worker) -> Sequence[Up | Filled]:
        messages: list[Up | Filled] = []
        try:
            while worker.control.poll():
                message: Any = worker.control.recv()
                if isinstance(message, Said):
                    log.log(message.level, "%s: %s", worker.title, message.text)
                elif isinstance(message, Failed):
                    log.debug("%s failed:\n%s", worker.title, message.trace)
                    raise UsageError(message.sentence) if message.usage else EnvError(message.sentence)
                elif isinstance(message, EnvFailed):
                    log.debug("%s: an environment failed:\n%s", worker.title, message.trace)
                    raise EnvError(message.sentence)
                else:
                    messages.append(message)
        except (EOFError, ConnectionResetError):
            if worker.control in self._selector.get_map():
                self._selector.unregister(worker.control)  # its death follows
        return messages

    def _check_signs_of_life(self) -> None:
        limit_s, now = self._cfg.heartbeat_reporting_interval, time.monotonic()
        for worker, heartbeat_s in zip(self._workers, self._shared.vitals.heartbeat_s, strict=False):
            silence_s = now - max(float(heartbeat_s), worker.started_s)
            if silence_s > (limit_s if worker.up else limit_s * _START_UP_FACTOR):
                raise EnvError(f"{worker.title} was silent for {silence_s:.0f} s; its environments seem to hang")

    def _grant(self, part: _Part) -> None:
        """Let the groups begin their next rollout, also those that have played their share: draws must not change."""
        part.filled.clear()
        for group in sorted(part.groups):
            place = self._groups[group]
            slots = np.arange(place.agents.start, place.agents.stop)
            self._send(self._workers[place.worker], Grant(group, slots, self._env_steps))

    def _answer(self, part: _Part, counting: Counting) -> None:
        asked = sorted(part.asked.items())
        part.asked.clear()
        for group, t in asked:
            if t < _ROLLOUT:
                agents = self._groups[group].agents  # their slots have the same numbers
                counting.note_acting(self._shared.buffers.policy_id[agents, t] >= 0, agents)
        with torch.inference_mode():
            part.inference.answer([self._read(self._groups[group], t) for group, t in asked])
        for group, t in asked:
            try:
                os.write(self._workers[self._groups[group].worker].requests.fileno(), MESSAGE.pack(group, t))
            except (BrokenPipeError, ConnectionResetError):
                log.debug("group %d is gone", group)  # the death of its worker follows

    def _read(self, place: GroupPlace, t: int) -> Any:
        agents = np.arange(place.agents.start, place.agents.stop)
        return self._shared.mailbox.read(place.group, t, place.agents, agents)

    def _part_of(self, group: int) -> _Part:
        return self._parts[group % len(self._parts)]

    @staticmethod
    def _send(worker: _Worker, message: Grant) -> None:
        try:
            worker.control.send(message)
        except (BrokenPipeError, ConnectionResetError):
            log.debug("%s is gone", worker.title)  # its death follows
