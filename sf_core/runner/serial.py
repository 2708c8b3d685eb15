"""The serial engine: collect, train, collect, in one process and always in the same order.

In: a configuration and a plan. Out: how the run ended, and its folder. Knows the order in which the parts are called,
not what they do: `wiring` builds them, `records` writes down what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from sf_core.cfg.config import Config
from sf_core.learner.nonfinite import BadBatches
from sf_core.model.device import device_bytes
from sf_core.plugins.plan import EnvError, RunPlan, describe_error
from sf_core.rollout.slots import SlotState
from sf_core.runner.begin import begin_run
from sf_core.runner.files.saving import LearnerFiles
from sf_core.runner.processes.vitals import serial_bottleneck
from sf_core.runner.reports.evaluations import Evaluations
from sf_core.runner.reports.gauges import memory_of_one_process
from sf_core.runner.reports.records import RunRecords
from sf_core.runner.signals import StopSignal
from sf_core.runner.wiring import build_serial_parts, build_vector, description_of
from sf_core.utils.allocator import keep_freed_memory
from sf_core.utils.errors import ComponentFailure, UsageError
from sf_core.utils.log import log
from sf_core.utils.status import ExperimentStatus
from sf_core.utils.stopwatch import Stopwatch

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")
_PARTS_OF_TIME = ("other", "env", "inference", "learner")


class SerialRunner:
    """One run in this process. Building it makes environments and model; `run` is the first to write a file."""

    def __init__(
        self,
        cfg: Config,
        plan: RunPlan,
        report_header: Sequence[str] = (),
        evaluations: Evaluations | None = None,
    ) -> None:
        keep_freed_memory()
        cfg, folder = begin_run(cfg)
        cfg, vector = build_vector(cfg, plan)
        self.cfg = cfg
        self._plan = plan
        self._in_learner = False
        self.parts = build_serial_parts(cfg, plan, vector)
        self._clock = Stopwatch(_PARTS_OF_TIME)
        parts, policy = self.parts, self.parts.policy
        parts.learner.bad_batches = BadBatches(folder.bad_batches(0))
        description = description_of(cfg, plan, policy, parts.worker.num_agents)
        self._files = files = LearnerFiles(
            cfg, folder.checkpoints(0), parts.learner, description, parts.generators, parts.resume_point
        )
        self.records = RunRecords(
            cfg,
            plan,
            folder,
            report_header,
            learner=files,
            time_s=lambda: self._clock.snapshot(),
            counters=parts.counters,
            gauges=lambda: memory_of_one_process(device_bytes(policy.device)),
            bottleneck=lambda: serial_bottleneck(self._clock.snapshot()),
            evaluations=evaluations,
        )

    def run(self) -> ExperimentStatus:
        """Train until the budget is used up, somebody stops the run or something breaks; leaves `result.json`."""
        status, reason = ExperimentStatus.FAILURE, ""
        with StopSignal() as stop_signal, self.records as records:
            try:
                status, reason = self._train(stop_signal)
            except (ComponentFailure, UsageError) as error:
                log.error("The run failed: %s", error, exc_info=self.cfg.verbose)
                log.debug("Its traceback", exc_info=True)
                reason = str(error)
            except Exception as error:
                log.exception("The run failed")
                reason = f"{type(error).__name__}: {error}"
            finally:
                # what was learned before an env or an observer failed is whole
                status = records.finish(status, reason, save=not self._in_learner)
                self.parts.worker.close()
        return status

    def _train(self, stop_signal: StopSignal) -> tuple[ExperimentStatus, str]:
        """Iterate until there is a reason to stop. Only whole iterations are ever part of a checkpoint."""
        self._clock = Stopwatch(_PARTS_OF_TIME)
        self._clock.start("env")
        self._begin_episodes()
        while not (reason := self.records.reason_to_stop()):
            if not self._collect(stop_signal):
                return ExperimentStatus.INTERRUPTED, stop_signal.reason
            while self.parts.slots.count(SlotState.READY) >= self.parts.rollouts_per_dataset:
                self._train_iteration()
        return ExperimentStatus.SUCCESS, reason

    def _begin_episodes(self) -> None:
        """Bring the envs to where they were when the run stopped, or else start new episodes."""
        goes_on = False
        if self.records.continues:
            why_not = self._files.resume_sampling()
            self.records.resumed(why_not)
            goes_on = not why_not
        if not goes_on:
            self._attributed(self.parts.worker.reset, self.records.session_seed)
        self._mark()

    def _mark(self) -> None:
        """This is a moment from which the run can go on, unless a part of a dataset is waiting."""
        if self.parts.resume_point is not None:
            if self.parts.slots.count(SlotState.READY) == 0:
                self.parts.resume_point.mark()
            else:  # the last such moment is of older weights
                self.parts.resume_point.forget()

    def _collect(self, stop_signal: StopSignal) -> bool:
        """One rollout of every agent; False when interrupted, in which case its slots are given back."""
        worker, inference, slots, clock = self.parts.worker, self.parts.inference, self.parts.slots, self._clock
        self.parts.threads.use_for_inference()
        claimed = slots.claim(worker.num_agents)
        clock.start("env")
        request = self._attributed(worker.begin, 0, claimed, self.parts.learner.env_steps)
        while not stop_signal.requested:
            clock.start("inference")
            inference.answer([request])
            if request.t == self.cfg.rollout:
                slots.submit(claimed)
                clock.start("other")
                self.records.collected((), worker.num_agents * self.cfg.rollout)
                return True
            clock.start("env")
            request = self._attributed(worker.advance, 0, request.t)
            self.records.tick()
        slots.discard(claimed)
        return False

    def _attributed(self, step: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        """`step(...)`; what it raises is the env's, and says so."""
        try:
            return step(*args, **kwargs)
        except UsageError:
            raise
        except Exception as error:
            env = self._plan.env
            raise EnvError(f"env {env.name!r} ({env.owner}) failed: {describe_error(error)}") from error

    def _train_iteration(self) -> None:
        """Take a dataset and train on it. Whoever acts has the learner's own policy, so nothing has to be published.

        Its episodes are counted now: a run that is interrupted before plays them again when it goes on.
        """
        parts, clock = self.parts, self._clock
        self.records.collected(parts.worker.finished_episodes(), 0)
        clock.start("learner")
        parts.threads.use_for_learner()
        taken = parts.slots.take(parts.rollouts_per_dataset)
        self._in_learner = True
        stats = parts.learner.train(parts.loader.begin(taken)())
        self._in_learner = False
        parts.slots.release(taken)
        clock.start("other")
        self._mark()
        self.records.trained(stats.scalars(), stats.skipped_updates, stats.samples)
