"""`sf-rollout`: a process that steps envs. Imports neither torch nor any plugin but the owner of the env.

In: slots from the runner, answers from inference. Out: requests to inference, complete rollouts to the runner. Knows
when a step is due, not what is in it (`sampler.rollout_worker`).
"""

from __future__ import annotations

import os
import select
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from sf_core.cfg.config import Config
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.timestep import AgentVector
from sf_core.plugins.plan import EnvPlan, describe_error
from sf_core.rollout.shared_memory import SharedFile
from sf_core.runner.layout import GroupPlace, derived_seed
from sf_core.runner.processes.messages import Attach, EnvFailed, Filled, Grant, Up
from sf_core.runner.processes.process import Role, begin_process, failures_to
from sf_core.runner.processes.vitals import Pulse
from sf_core.sampler.decorrelation import random_steps
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.mailbox import MESSAGE, READ_SIZE
from sf_core.sampler.messages import InferenceRequest
from sf_core.sampler.rollout_worker import RolloutWorker
from sf_core.utils.errors import UsageError

_LONGEST_WAIT_MS = 1000  # between two signs of life
_MAX_FAILURES = 5  # of one group in a row, without a complete rollout in between
_BACK_OFF_S = 0.25  # before the second attempt; doubles


@dataclass(frozen=True)
class RolloutTask:
    """What a rollout process is started with.

    Attributes:
        groups: of this worker.
        vitals_row: its row in the signs of life.
        attempt: how often this worker was restarted.
        first_wait_s: before the first rollout, so that workers are spread in time.
    """

    cfg: Config
    env: EnvPlan
    worker: int
    groups: tuple[GroupPlace, ...]
    vitals_row: int
    attempt: int
    first_wait_s: float
    memory: SharedFile
    control: Connection
    inference: tuple[Connection, ...]


def rollout_main(role: Role, task: RolloutTask) -> None:
    """The body of the process."""
    begin_process(role, task.control)
    with failures_to(task.control):
        vectors = [_make_vector(task, place, task.cfg.seed) for place in task.groups]
        attach = task.control.recv()
        assert isinstance(attach, Attach)
        process = _RolloutProcess(task, attach, vectors)
        task.control.send(Up())
        try:
            process.loop()
        finally:
            process.worker.close()


def _make_vector(task: RolloutTask, place: GroupPlace, seed: int) -> AgentVector:
    vector = create_agent_vector(
        task.env,
        task.cfg,
        place.num_envs,
        worker_index=place.worker,
        first_env_id=place.first_env,
        first_vector_index=place.first_vector_index,
        seed=seed,
    )
    if vector.num_agents != place.num_agents:
        raise UsageError(
            f"env {task.env.name!r}: {place.num_envs} envs have {vector.num_agents} agents where one alone promised "
            f"{place.num_agents}; a factory that returns a vector env has to be offered as vector_factory."
        )
    return vector


class _RolloutProcess:
    """The loop, and the envs that it rebuilds when they fail."""

    def __init__(self, task: RolloutTask, attach: Attach, vectors: Sequence[AgentVector]) -> None:
        self._task = task
        parts = attach.layout.attach(task.memory)
        self._buffers, self._mailbox = parts.buffers, parts.mailbox
        self._pulse = Pulse(parts.vitals, task.vitals_row)
        self._late = parts.vitals.late_rewards[task.vitals_row : task.vitals_row + 1]
        self._late_before = int(self._late[0])  # of the process that this one takes the place of
        self._rollout = attach.layout.rollout
        # a restarted worker must not play the same episodes again
        self._seed = attach.seed if not task.attempt else derived_seed(attach.seed, task.worker, task.attempt)
        self._index = {place.group: index for index, place in enumerate(task.groups)}
        self._failures = [0] * len(task.groups)
        self._to_inference = [task.inference[place.inference].fileno() for place in task.groups]
        self.worker = RolloutWorker(
            [
                self._make_group(place, vector, self._random_steps(place))
                for place, vector in zip(task.groups, vectors, strict=True)
            ]
        )
        self.worker.reset(self._seed)

    def loop(self) -> None:
        """Until the runner or inference hangs up."""
        control = self._task.control
        poller = select.poll()
        for connection in (control, *self._task.inference):
            poller.register(connection.fileno(), select.POLLIN)
        self._wait(self._task.first_wait_s)
        self._pulse.worked()
        while True:
            events = poller.poll(_LONGEST_WAIT_MS)
            self._pulse.waited()
            for descriptor, _ in events:
                if descriptor == control.fileno():
                    grant = control.recv()  # EOFError when the runner is gone
                    assert isinstance(grant, Grant)
                    self._do(grant.group, -1, grant)
                else:
                    answers = os.read(descriptor, READ_SIZE)
                    if not answers:
                        return
                    for group, t in MESSAGE.iter_unpack(answers):
                        self._do(group, t, None)
            self._pulse.worked()

    def _wait(self, seconds: float) -> None:
        """Sleep, with signs of life."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _LONGEST_WAIT_MS / 1000))
            self._pulse.waited()

    def _do(self, group: int, t: int, grant: Grant | None) -> None:
        """The group's next move: begin a rollout, take step `t`, or report that row T was answered."""
        index = self._index[group]
        if t == self._rollout:
            self._failures[index] = 0
            self._late[0] = self._late_before + self.worker.late_rewards
            self._task.control.send(Filled(group, self.worker.groups[index].finished_episodes()))
            return
        try:
            if grant is not None:
                request = self.worker.begin(index, grant.slots, grant.env_steps)
            else:
                request = self.worker.advance(index, t)
        except Exception as error:
            self._rebuild(index, error)
            return
        self._ask(index, group, request)

    def _ask(self, index: int, group: int, request: InferenceRequest) -> None:
        self._mailbox.post(request, self._task.groups[index].agents)
        os.write(self._to_inference[index], MESSAGE.pack(group, request.t))

    def _rebuild(self, index: int, error: Exception) -> None:
        """Make the envs of a group anew. Its rollout is void; the runner grants it another one."""
        place, trace = self._task.groups[index], traceback.format_exc()
        self._failures[index] += 1
        env = self._task.env
        sentence = f"env {env.name!r} ({env.owner}): {describe_error(error)}"
        if self._failures[index] > _MAX_FAILURES:
            raise RuntimeError(f"{self._failures[index]} failures in a row; the last one: {sentence}") from error
        time.sleep(_BACK_OFF_S * (2 ** (self._failures[index] - 1) - 1))
        groups = list(self.worker.groups)
        try:
            groups[index].close()
        except Exception:
            trace += "\nand closing failed:\n" + traceback.format_exc()
        seed = derived_seed(self._seed, place.group, self._failures[index], time.time_ns() % 2**31)
        self._late_before += groups[index].late_rewards
        groups[index] = self._make_group(place, _make_vector(self._task, place, seed))
        groups[index].reset(seed)
        self.worker = RolloutWorker(groups)
        self._task.control.send(EnvFailed(place.group, sentence, trace))

    def _random_steps(self, place: GroupPlace) -> tuple[int, ...]:
        cfg = self._task.cfg
        if not cfg.decorrelate_envs_on_one_worker:
            return ()
        return random_steps(cfg.rollout, cfg.num_envs_per_worker, place.first_env, place.num_envs)

    def _make_group(self, place: GroupPlace, vector: AgentVector, steps: tuple[int, ...] = ()) -> EnvGroup:
        cfg = self._task.cfg
        return EnvGroup(
            vector,
            self._buffers,
            first_agent=place.first_agent,
            reward_scale=cfg.reward_scale,
            reward_clip=cfg.reward_clip,
            random_steps=steps,
        )
