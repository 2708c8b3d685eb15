"""`sf-inference`: a process that answers the requests of env groups, as many at a time as have arrived.

In: eight bytes per request, observations in shared memory. Out: actions in shared memory, the same eight bytes back.
Knows when to answer, not how (`sampler.inference_worker`).
"""

from __future__ import annotations

import os
import selectors
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection

import numpy as np
import torch

from sf_core.model.device import device_bytes
from sf_core.model.new_policy import new_policy
from sf_core.model.policy import Policy
from sf_core.model.policy_store import PolicyStore
from sf_core.plugins.plan import ModelPlan
from sf_core.rollout.shared_memory import SharedFile
from sf_core.runner.layout import derived_seed
from sf_core.runner.processes.messages import Attach, Connect, Gone, Up
from sf_core.runner.processes.process import Role, model_process
from sf_core.runner.processes.vitals import Pulse
from sf_core.runner.threads import thread_budget
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.mailbox import MESSAGE, READ_SIZE

_LONGEST_WAIT_S = 1.0  # between two signs of life
_LONGEST_GATHERING_S = 0.02
_PATIENCE = 8.0  # times what answering takes; on two cores CartPole's 512 x 512 policy acts 1.3 times as fast with it
_SMOOTHING = 0.05  # weight of the newest pass in the time that answering takes


@dataclass(frozen=True)
class InferenceTask:
    """What an inference process is started with."""

    model: ModelPlan
    index: int
    vitals_row: int
    memory: SharedFile
    control: Connection


def inference_main(role: Role, task: InferenceTask) -> None:
    """The body of the process."""
    with model_process(role, task.control) as build:
        cfg, info = build.cfg, build.info
        policy = new_policy(task.model, cfg, info.observation_space, info.action_space, policy_version=-1)
        early: list[tuple[int, Connection]] = []  # workers that were started before the memory had its size
        while isinstance(attach := task.control.recv(), Connect):
            early.append((attach.worker, _receive_connection(task.control)))
        assert isinstance(attach, Attach)
        rows = build.num_agents // cfg.policy_workers_per_policy  # the most one call may get
        budget = thread_budget(policy.actor_critic, role.threads, acting_rows=rows, minibatch_rows=1)
        torch.set_num_threads(budget.inference)
        process = _InferenceProcess(task, attach, policy)
        for worker, connection in early:
            process.connect(worker, connection)
        task.control.send(Up())
        with torch.inference_mode():  # nothing is ever learned here, so no tensor needs a version
            process.loop()


class _InferenceProcess:
    """The loop."""

    def __init__(self, task: InferenceTask, attach: Attach, policy: Policy) -> None:
        layout = attach.layout
        parts = layout.attach(task.memory)
        self._task, self._policy, self._mailbox = task, policy, parts.mailbox
        self._pulse = Pulse(parts.vitals, task.vitals_row, lambda: device_bytes(policy.device))
        self._passes = parts.vitals.passes[task.vitals_row : task.vitals_row + 1]
        self._requests = parts.vitals.requests[task.vitals_row : task.vitals_row + 1]
        self._approximate = parts.vitals.approximate_bootstraps[task.vitals_row : task.vitals_row + 1]
        self._store = PolicyStore(parts.weights, task.memory.locked)
        self._store.fetch_if_newer(policy)
        torch.manual_seed(derived_seed(attach.seed, task.index, 1))  # for networks that draw from the global generator
        generator = torch.Generator(device=policy.device).manual_seed(derived_seed(attach.seed, task.index))
        self._inference = InferenceWorker(policy, parts.buffers, layout.num_agents, generator=generator)
        self._agents = [place.agents for place in layout.groups]
        self._agent_numbers = [np.arange(rows.start, rows.stop) for rows in self._agents]
        self._selector = selectors.DefaultSelector()
        self._selector.register(task.control.fileno(), selectors.EVENT_READ, -1)
        self._connections: dict[int, Connection] = {}  # by file descriptor
        self._asked: list[tuple[int, int, int]] = []  # (descriptor, group, t) that wait for an answer
        self._groups_of: defaultdict[int, set[int]] = defaultdict(set)  # worker -> groups that ask here
        for place in layout.groups:
            if place.inference == task.index:
                self._groups_of[place.worker].add(place.group)
        self._enough = len(self._groups_of)
        self._stepping: set[int] = set()  # groups that were answered and will ask again when they have stepped
        self._rollout = layout.rollout
        self._answering_s = 0.0

    def loop(self) -> None:
        """Until the runner hangs up.

        Answering costs almost the same for one group as for many, so the first requests wait for one group of every
        worker, but only as long as somebody is on the way to ask, and for a few times what answering takes.
        """
        while True:
            gone = self._receive(_LONGEST_WAIT_S)
            deadline_s = time.monotonic() + min(_PATIENCE * self._answering_s, _LONGEST_GATHERING_S)
            while 0 < len(self._asked) < self._enough and self._stepping:
                if (left_s := deadline_s - time.monotonic()) <= 0:
                    break
                gone += self._receive(left_s)
            self._pulse.waited()
            if self._asked:
                self._answer()
            for descriptor, worker in gone:
                self._disconnect(descriptor, worker)
            self._pulse.worked()

    def _receive(self, longest_wait_s: float) -> list[tuple[int, int]]:
        """Collect what has been asked; returns who hung up (descriptor, worker)."""
        gone: list[tuple[int, int]] = []
        for key, _ in self._selector.select(longest_wait_s):
            if key.data < 0:
                message = self._task.control.recv()  # EOFError when the runner is gone
                assert isinstance(message, Connect)
                self.connect(message.worker, _receive_connection(self._task.control))
                continue
            try:
                data = os.read(key.fd, READ_SIZE)
            except ConnectionResetError:
                data = b""
            if data:
                self._stepping.difference_update(group for group, _ in MESSAGE.iter_unpack(data))
                self._asked += ((key.fd, group, t) for group, t in MESSAGE.iter_unpack(data))
            else:
                self._selector.unregister(key.fd)
                gone.append((key.fd, key.data))
        return gone

    def _answer(self) -> None:
        """Answer everything that has arrived in one pass through the network."""
        begin_s = time.monotonic()
        asked, self._asked = self._asked, []
        self._store.fetch_if_newer(self._policy)
        self._inference.answer(
            [self._mailbox.read(group, t, self._agents[group], self._agent_numbers[group]) for _, group, t in asked]
        )
        self._approximate[0] = self._inference.approximate_bootstraps
        self._passes[0] += 1
        self._requests[0] += len(asked)
        for descriptor, group, t in asked:
            with suppress(BrokenPipeError, ConnectionResetError):  # the worker died; its end of file follows
                os.write(descriptor, MESSAGE.pack(group, t))
            if t < self._rollout:
                self._stepping.add(group)
        took_s = time.monotonic() - begin_s
        self._answering_s += _SMOOTHING * (took_s - self._answering_s)

    def connect(self, worker: int, connection: Connection) -> None:
        """Listen to a worker."""
        self._connections[connection.fileno()] = connection
        self._selector.register(connection.fileno(), selectors.EVENT_READ, worker)

    def _disconnect(self, descriptor: int, worker: int) -> None:
        self._connections.pop(descriptor).close()
        self._stepping -= self._groups_of[worker]
        self._task.control.send(Gone(worker))


def _receive_connection(control: Connection) -> Connection:
    connection: Connection = Connection(reduction.recv_handle(control))
    return connection
