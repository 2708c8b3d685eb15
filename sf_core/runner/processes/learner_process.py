"""`sf-learner`: a process that trains on one dataset after the other, publishes weights and saves.

In: slots of complete rollouts, requests to save. Out: newer weights in shared memory, what an iteration gave,
checkpoints. Knows the order of things, not the mathematics (`learner.update`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch

from sf_core.learner.nonfinite import BadBatches
from sf_core.learner.update import Learner
from sf_core.model.device import device_bytes
from sf_core.model.new_policy import new_policy
from sf_core.model.policy_store import PolicyStore, weight_table
from sf_core.plugins.plan import RunPlan
from sf_core.rollout.batch_loader import BatchLoader
from sf_core.rollout.shared_memory import SharedFile
from sf_core.rollout.train_batch import TrainBatch
from sf_core.runner.files.run_folder import RunFolder
from sf_core.runner.files.saving import LearnerFiles
from sf_core.runner.layout import SharedParts
from sf_core.runner.processes.messages import (
    Attach,
    Built,
    Counters,
    Finish,
    Idle,
    SaveRequest,
    Train,
    Trained,
    Up,
)
from sf_core.runner.processes.process import Role, model_process
from sf_core.runner.processes.vitals import LEARNER, Pulse
from sf_core.runner.threads import thread_budget
from sf_core.runner.wiring import description_of


@dataclass(frozen=True)
class LearnerTask:
    """What the learner process is started with. `plan` is without observers, which live in the runner."""

    plan: RunPlan
    memory: SharedFile
    control: Connection


def learner_main(role: Role, task: LearnerTask) -> None:
    """The body of the process."""
    with model_process(role, task.control) as build:
        cfg, info = build.cfg, build.info
        torch.manual_seed(cfg.seed)
        np.random.seed(cfg.seed % 2**32)
        policy = new_policy(task.plan.model, cfg, info.observation_space, info.action_space)
        budget = thread_budget(policy.actor_critic, role.threads, acting_rows=1, minibatch_rows=cfg.batch_size)
        torch.set_num_threads(budget.learner)
        learner = Learner(cfg, policy)
        folder = RunFolder(cfg.train_dir, cfg.experiment)
        learner.bad_batches = BadBatches(folder.bad_batches(0))
        files = LearnerFiles(
            cfg, folder.checkpoints(0), learner, description_of(cfg, task.plan, policy, build.num_agents)
        )
        restored = files.restore()
        task.control.send(Built(policy.rnn_size, weight_table(policy), _counters(learner), restored))
        attach = task.control.recv()
        assert isinstance(attach, Attach)
        process = _LearnerProcess(task, attach.layout.attach(task.memory), learner, files)
        task.control.send(Up())
        process.loop()


def _counters(learner: Learner) -> Counters:
    return Counters(learner.policy_version, learner.env_steps, learner.agent_steps)


class _LearnerProcess:
    """The loop."""

    def __init__(self, task: LearnerTask, parts: SharedParts, learner: Learner, files: LearnerFiles) -> None:
        self._control = task.control
        self._learner, self._files = learner, files
        self._loader = BatchLoader(parts.buffers, learner.policy.device)
        self._pulse = Pulse(parts.vitals, LEARNER, lambda: device_bytes(learner.policy.device))
        self._store = PolicyStore(parts.weights, task.memory.locked)
        self._store.publish(learner.policy)
        self._datasets: deque[tuple[np.ndarray, Callable[[], TrainBatch]]] = deque()

    def loop(self) -> None:
        """Until the runner hangs up. Requests come before datasets that wait."""
        while True:
            self._pulse.worked()
            while self._control.poll(0 if self._datasets else None):
                message = self._control.recv()  # EOFError when the runner is gone
                self._pulse.waited()
                if isinstance(message, Train):
                    self._datasets.append((message.slots, self._loader.begin(message.slots)))
                elif isinstance(message, SaveRequest):
                    self._files.save(message, self._control.send)
                elif isinstance(message, Finish):
                    self._datasets.clear()
                    self._control.send(Idle())
                self._pulse.worked()
            self._pulse.waited()
            # the budget may have been used up while this dataset was on its way
            if self._learner.env_steps < self._learner.cfg.train_for_env_steps:
                self._train(*self._datasets.popleft())
            else:
                self._datasets.clear()

    def _train(self, slots: np.ndarray, loaded: Callable[[], TrainBatch]) -> None:
        learner = self._learner
        stats = learner.train(loaded())
        self._store.publish(learner.policy)
        self._control.send(Trained(slots, _counters(learner), stats.scalars(), stats.skipped_updates, stats.samples))
