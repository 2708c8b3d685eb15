"""The parallel engine: rollout workers, inference and a learner in processes of their own; this one supervises.

In: a configuration and a plan. Out: how the run ended, and its folder. This process owns the slots: it grants free ones
to env groups, collects full ones, hands datasets to the learner and takes the slots back. It imports no torch. Steps do
not pass through it, rollouts do.

Asynchronous: groups get slots as long as there are free ones, and the learner has the next dataset before it is done
with the last. Synchronous: groups get slots for one dataset, and the next ones when it was trained on and published.
"""

from __future__ import annotations

import atexit
import selectors
from collections.abc import Sequence
from multiprocessing import connection
from typing import Any

import numpy as np

from sf_core.cfg.auto import EnvCost, resolve_num_envs
from sf_core.cfg.checks import check_dataset_size
from sf_core.cfg.config import Config
from sf_core.cfg.resume import numbers_of_envs
from sf_core.envs.adapters.common import observation_arrays
from sf_core.envs.env_info import EnvInfo, probe_env
from sf_core.plugins.plan import RunPlan
from sf_core.rollout.shared_memory import SharedFile, check_memory
from sf_core.rollout.slots import SlotState, SlotTable
from sf_core.runner.begin import begin_run
from sf_core.runner.layout import make_layout, place_groups
from sf_core.runner.processes.crew import Crew, Member
from sf_core.runner.processes.messages import (
    Attach,
    Build,
    Built,
    EnvFailed,
    Failed,
    Filled,
    Finish,
    Gone,
    Grant,
    Idle,
    Said,
    Saved,
    Train,
    Trained,
    Up,
)
from sf_core.runner.processes.process import why_it_ended
from sf_core.runner.processes.remote_learner import RemoteLearner
from sf_core.runner.processes.supervision import Restarts, end_silent, silent_members
from sf_core.runner.processes.vitals import TimeReport
from sf_core.runner.reports.evaluations import Evaluations
from sf_core.runner.reports.gauges import Gauges
from sf_core.runner.reports.records import RunRecords
from sf_core.runner.signals import StopSignal
from sf_core.runner.turns import Turns
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log
from sf_core.utils.memory import free_bytes
from sf_core.utils.status import ExperimentStatus

_DATASETS_AT_THE_LEARNER = 2  # the one it trains on, and the next
_LONGEST_WAIT_S = 0.25
_MEASURE_S = 0.2  # of stepping an env, to see how fast it is


class EngineError(RuntimeError):
    """A process that the run cannot do without is gone, or one fails again and again; the message says which."""


class ParallelRunner:
    """One run. Building it starts processes and builds the model; `run` is the first to write a file."""

    def __init__(
        self,
        cfg: Config,
        plan: RunPlan,
        report_header: Sequence[str] = (),
        evaluations: Evaluations | None = None,
    ) -> None:
        plan.check_portable()
        cfg, folder = begin_run(cfg)
        self._memory = memory = SharedFile()
        self._crew = Crew(cfg, plan, memory)
        atexit.register(self._crew.close)
        try:
            if cfg.async_rl:
                cfg = cfg.replace("auto", **numbers_of_envs(cfg))
            is_auto = "auto" in (cfg.num_workers, cfg.num_envs_per_worker)
            info = probe_env(plan.env, cfg, measure_s=_MEASURE_S if is_auto and cfg.async_rl else 0.0)
            if is_auto:
                num_workers, num_envs_per_worker = resolve_num_envs(cfg, info.num_agents, _cost_of(info, cfg))
                cfg = cfg.replace("auto", num_workers=num_workers, num_envs_per_worker=num_envs_per_worker)
            check_dataset_size(cfg, info.num_agents)
            self.cfg = cfg
            self._groups = place_groups(cfg, info.num_agents)
            num_agents = sum(place.num_agents for place in self._groups)
            self._rollouts_per_dataset = cfg.batch_size * cfg.num_batches_per_epoch // cfg.rollout
            for member in self._crew.members():
                member.control.send(Build(cfg, info, num_agents))
            for worker in range(cfg.num_workers):
                self._crew.start_worker(cfg, self._groups, worker)
            built = self._built()
            self.layout = make_layout(cfg, info, self._groups, built.rnn_size, built.weights)
            check_memory(self.layout.num_bytes())
            memory.resize(self.layout.num_bytes())
            self.parts = self.layout.attach(memory)
            self.slots = SlotTable(self.layout.num_slots)
            rounds = None if cfg.async_rl else max(1, self._rollouts_per_dataset // num_agents)
            self._turns = Turns(self._groups, self.slots, rounds)
            self.learner = RemoteLearner(self._crew.learner.control, built, self._next_of_learner)
            self._time = TimeReport(self.parts.vitals, cfg.policy_workers_per_policy, asynchronous=cfg.async_rl)
            gauges = Gauges(self.parts.vitals, cfg.policy_workers_per_policy)
            self.records = RunRecords(
                cfg,
                plan,
                folder,
                report_header,
                learner=self.learner,
                time_s=self._time.seconds,
                counters=self._counters,
                gauges=lambda: {**gauges.read(), **self._queues()},
                bottleneck=self._time.bottleneck,
                evaluations=evaluations,
            )
        except BaseException:
            self.close()
            raise
        self._restarts = Restarts(len(self._crew.inference))
        self._at_learner = 0
        self._idle = False
        self._env_failures = 0
        self._discarded_samples = 0

    def run(self) -> ExperimentStatus:
        """Train until the budget is used up, somebody stops the run or something breaks; leaves `result.json`."""
        try:
            with StopSignal() as stop_signal, self.records as records:
                try:
                    return self._run(stop_signal, records)
                finally:
                    self.close()
        finally:
            self.close()  # also where the folder could not be made ready

    def _run(self, stop_signal: StopSignal, records: RunRecords) -> ExperimentStatus:
        try:
            status, reason = self._train(stop_signal)
            self._let_learner_finish()
        except Exception as error:
            log.error("The run failed: %s", error, exc_info=not isinstance(error, EngineError))
            status, reason = ExperimentStatus.FAILURE, f"{type(error).__name__}: {error}"
        try:
            return records.finish(status, reason, save=self._crew.learner.process.is_alive())
        except (EngineError, OSError) as error:  # the learner died while it saved
            reason = f"{type(error).__name__}: {error}"
            return records.finish(ExperimentStatus.FAILURE, reason, save=False)

    def close(self) -> None:
        """End all processes. A second call does nothing."""
        self._crew.close()
        self._memory.close()
        atexit.unregister(self._crew.close)

    # ---- start ----

    def _built(self) -> Built:
        """What the learner says once its model is there.

        Raises:
            UsageError: the model cannot be built for this env, or the run's checkpoints cannot be continued.
        """
        while True:
            message = self._receive(self._crew.learner)
            if isinstance(message, Built):
                return message

    def _attach(self) -> None:
        """Give everybody the shared memory, the learner first: inference begins with what it publishes."""
        attach = Attach(self.layout, self.records.session_seed)
        learner = self._crew.learner
        learner.control.send(attach)
        while not learner.up:
            self._handle(learner, self._receive(learner))
        for member in self._crew.members():
            if member is not learner:
                self._send(member, attach)
        self._selector = selectors.DefaultSelector()
        for member in self._crew.members():
            self._listen_to(member)

    def _listen_to(self, member: Member) -> None:
        self._selector.register(member.control, selectors.EVENT_READ, member)
        self._selector.register(member.process.sentinel, selectors.EVENT_READ, member)

    # ---- the loop ----

    def _train(self, stop_signal: StopSignal) -> tuple[ExperimentStatus, str]:
        """Pass slots around until there is a reason to stop."""
        self._attach()
        if self.records.continues:
            self.records.resumed("those of a parallel run are in other processes, and end with them")
        while not (reason := self.records.reason_to_stop()):
            if stop_signal.requested:
                return ExperimentStatus.INTERRUPTED, stop_signal.reason
            for key, _ in self._selector.select(_LONGEST_WAIT_S):
                member: Member = key.data
                if key.fileobj is member.control:
                    self._hear(member)
                else:
                    self._died(member)
            self._grant_slots()
            self._feed_learner()
            self._watch()
            self.records.tick()
        return ExperimentStatus.SUCCESS, reason

    def _hear(self, member: Member) -> None:
        if member.control not in self._selector.get_map():
            return  # its death was noticed in the same moment, and it has been heard out
        try:
            message = member.control.recv()
        except (EOFError, ConnectionResetError):
            self._selector.unregister(member.control)  # its death follows
            return
        self._handle(member, message)

    def _handle(self, member: Member, message: Any) -> None:
        if isinstance(message, Filled):
            self._filled(member, message)
        elif isinstance(message, Trained):
            self._trained(message)
        elif isinstance(message, Saved):
            self.learner.saved(message)
        elif isinstance(message, Said):
            log.log(message.level, "%s: %s", member.title, message.text)
        elif isinstance(message, Up):
            member.up = True
            if member.kind == "rollout":
                self._turns.worker_is_up(member.index)
        elif isinstance(message, Idle):
            self._idle = True
        elif isinstance(message, EnvFailed):
            self._env_failed(member, message)
        elif isinstance(message, Gone):
            self._restarts.noticed(message.worker, member.index)
            self._reclaim(message.worker)
        elif isinstance(message, Failed):
            self._failed(member, message)

    def _filled(self, member: Member, message: Filled) -> None:
        """A rollout is complete."""
        if not member.proved:
            member.proved = True
            if all(worker.proved for worker in self._crew.workers.values()):
                log.debug("Every rollout worker has collected a rollout")
        num_slots = self._turns.filled(message.group)
        self.records.collected(message.episodes, num_slots * self.cfg.rollout)

    def _trained(self, message: Trained) -> None:
        """The learner published newer weights and has no more use for these slots."""
        self.slots.release(message.slots)
        self._at_learner -= 1
        self.learner.counters = message.counters
        self._turns.next_dataset()
        self.records.trained(message.scalars, message.skipped_updates, message.samples)

    def _grant_slots(self) -> None:
        """Tell the groups whose turn it is which slots they may fill."""
        for place, slots in self._turns.grants():
            self._send(self._crew.workers[place.worker], Grant(place.group, slots, self.learner.env_steps))

    def _feed_learner(self) -> None:
        """Datasets go to the learner as long as it has not two of them."""
        while (
            self._at_learner < _DATASETS_AT_THE_LEARNER
            and self.slots.count(SlotState.READY) >= self._rollouts_per_dataset
        ):
            # in ascending order they are contiguous more often, and then read without a copy
            taken = np.sort(self.slots.take(self._rollouts_per_dataset))
            self._at_learner += 1
            self._send(self._crew.learner, Train(taken))

    def _let_learner_finish(self) -> None:
        """Wait for the iteration under way, so that only whole iterations are part of a checkpoint."""
        self._send(self._crew.learner, Finish())
        while not self._idle:
            self._next_of_learner()

    def _next_of_learner(self) -> None:
        self._handle(self._crew.learner, self._receive(self._crew.learner))

    def _receive(self, member: Member) -> Any:
        """The next message of a process that the run cannot do without."""
        connection.wait([member.control, member.process.sentinel])
        try:
            message = member.control.recv()
        except (EOFError, ConnectionResetError):
            member.process.join(_LONGEST_WAIT_S)
            raise EngineError(why_it_ended(member.title, member.process.exitcode)) from None
        if isinstance(message, Failed):
            self._failed(member, message)
        return message

    def _send(self, member: Member, message: Any) -> None:
        try:
            member.control.send(message)
        except (BrokenPipeError, ConnectionResetError):
            log.debug("%s is gone", member.title)  # its death follows

    def _counters(self) -> dict[str, int]:
        return {
            "approximate_bootstraps": int(self.parts.vitals.approximate_bootstraps.sum()),
            "late_rewards": int(self.parts.vitals.late_rewards.sum()),
            "env_restarts": self._env_failures,
            "worker_restarts": self._restarts.total,
            "samples_discarded": self._discarded_samples,
        }

    def _queues(self) -> dict[str, int]:
        return {
            "slots_free": self.slots.count(SlotState.FREE),
            "slots_filling": self.slots.count(SlotState.FILLING),
            "slots_ready": self.slots.count(SlotState.READY),
            "slots_taken": self.slots.count(SlotState.TAKEN),
            "groups_waiting": self._turns.num_waiting,
        }

    # ---- when something breaks ----

    def _failed(self, member: Member, message: Failed) -> None:
        """A process said why it ends."""
        member.failure = message.sentence
        log.error("%s failed:\n%s", member.title, message.trace.rstrip())
        if message.usage and not member.up:
            raise UsageError(message.sentence)
        if member.kind != "rollout":
            raise EngineError(f"{member.title} failed: {message.sentence}")

    def _env_failed(self, member: Member, message: EnvFailed) -> None:
        """The envs of a group were built anew; nothing of their rollout is read."""
        log.error("%s: an environment failed and was built anew:\n%s", member.title, message.trace.rstrip())
        if not member.proved:
            raise EngineError(f"{member.title}: an environment failed in its first rollout: {message.sentence}")
        self._env_failures += 1
        self._discarded(self._turns.broken_off(message.group))

    def _died(self, member: Member) -> None:
        """A process is gone. Nothing goes on without inference and learner; a rollout worker is started again."""
        while member.control in self._selector.get_map() and member.control.poll():
            self._hear(member)  # what it had to say before
        if member.control in self._selector.get_map():
            self._selector.unregister(member.control)
        self._selector.unregister(member.process.sentinel)
        member.process.join()
        self._crew.ended(member)
        if member.kind == "rollout":
            self._end_with_the_essential()
        reason = why_it_ended(member.title, member.process.exitcode)
        if member.failure:
            reason = f"{reason}: {member.failure}"
        if member.kind != "rollout":
            raise EngineError(reason)
        if not member.proved:
            raise EngineError(f"{reason} before its first rollout was complete")
        if not self._restarts.died(member.index):
            raise EngineError(f"{reason} again and again")
        log.error("%s; it is started again", reason)
        self._turns.worker_is_gone(member.index)
        self._reclaim(member.index)

    def _end_with_the_essential(self) -> None:
        """Workers end when inference does; then it is inference that has to be named."""
        essential = {member.process.sentinel: member for member in (self._crew.learner, *self._crew.inference)}
        for sentinel in connection.wait(list(essential), _LONGEST_WAIT_S):
            self._died(essential[sentinel])  # type: ignore[index]

    def _reclaim(self, worker: int) -> None:
        """Take back the slots of a worker that died, once nobody writes for it any more."""
        if self._restarts.released(worker):
            self._discarded(self._turns.reclaim(worker))

    def _discarded(self, num_slots: int) -> None:
        self._discarded_samples += num_slots * self.cfg.rollout

    def _watch(self) -> None:
        """Start workers again whose time has come, and end those that do not move any more."""
        for worker, attempt in self._restarts.due():
            self._crew.workers[worker].control.close()
            member = self._crew.start_worker(self.cfg, self._groups, worker, attempt)
            member.proved = True  # it did its work before: if it dies again, it is tried again
            self._send(member, Attach(self.layout, self.records.session_seed))
            self._listen_to(member)
        for member, silence_s in silent_members(
            self._crew.members(), self.parts.vitals, self.cfg.heartbeat_reporting_interval
        ):
            if not member.failure:
                log.error("%s was silent for %.0f s and is ended; its stack goes to stderr", member.title, silence_s)
            end_silent(member)


def _cost_of(info: EnvInfo, cfg: Config) -> EnvCost:
    """What the probe measured, and the memory of one env's rollouts; observations are nearly all of it."""
    row = sum(array.nbytes for array in observation_arrays(info.observation_space, info.num_agents).values())
    return EnvCost(info.step_s, info.env_bytes, (cfg.rollout + 1) * row, free_bytes())
