"""Everything a run writes down and shows, so that the loop only says what happened.

In: episodes, training iterations, how the run ended. Out: the run folder, the display, what observers hear.
Knows nothing of how experience is collected or policies improved.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import FileHandler
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sf_core.cfg.config import Config
from sf_core.cfg.resume import changes_of_this_command
from sf_core.cfg.saved import write_config
from sf_core.learner.sample_counts import SampleCounts
from sf_core.plugins.plan import RunPlan
from sf_core.runner.files.checkpointing import CheckpointSchedule, SavedLearner
from sf_core.runner.files.provenance import provenance
from sf_core.runner.files.rewind import rewind_metrics
from sf_core.runner.files.run_folder import RunFolder, write_json
from sf_core.runner.reports.display import make_display
from sf_core.runner.reports.evaluations import Evaluated, Evaluations, NoEvaluations
from sf_core.runner.reports.observers import ObservedRun, ObserverHost, make_observers
from sf_core.runner.reports.progress import Progress
from sf_core.runner.reports.summaries import Report, SummaryWriter
from sf_core.sampler.messages import FinishedEpisode
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log, log_to_file
from sf_core.utils.status import ExperimentStatus

_POLICY = 0


class RunRecords:
    """The folder, display, checkpoints and observers of one run.

    Building it restores the checkpoint to continue from but writes nothing; entering it prepares the folder.

    Args:
        cfg: of the run.
        plan: of the run.
        folder: what is written goes there.
        report_header: lines that plugins add to the beginning of the log.
        learner: how far it is, and its checkpoints.
        time_s: seconds per part of the work so far.
        counters: numbers that the engine counts.
        gauges: numbers that say how things are in the engine, memory among them; a continued run has its own.
        bottleneck: one sentence on what limits the run; empty where there is nothing to say.
        evaluations: of the run while it trains; None for none.
    """

    def __init__(
        self,
        cfg: Config,
        plan: RunPlan,
        folder: RunFolder,
        report_header: Sequence[str],
        *,
        learner: SavedLearner,
        time_s: Callable[[], Mapping[str, float]],
        counters: Callable[[], Mapping[str, int]],
        gauges: Callable[[], Mapping[str, float]],
        bottleneck: Callable[[], str] = str,
        evaluations: Evaluations | None = None,
    ) -> None:
        self._cfg, self._plan, self._folder = cfg, plan, folder
        self._report_header = report_header
        self._learner, self._time_s, self._bottleneck = learner, time_s, bottleneck
        self._engine_counters, self._gauges = counters, gauges
        self._checkpoints = CheckpointSchedule(cfg, learner, lambda: self.progress.counted(self._counters()))
        self._continues = self._checkpoints.restore()
        self._run = ObservedRun(cfg, plan, folder.path, lambda policy_id: learner.env_steps)
        self.observers = ObserverHost(self._run, strict=bool(cfg.strict_plugins))
        make_observers(cfg, plan, self.observers)
        self._display = make_display(cfg)
        self._evaluations: Evaluations = evaluations or NoEvaluations()
        self._log_file: FileHandler | None = None
        self._skipped_updates = 0
        self._num_iterations = 0

    @property
    def session_seed(self) -> int:
        """Seed of the envs of this continuation: the run's, mixed with how far it is, so no episode is played twice."""
        if not self._continues:
            return int(self._cfg.seed)
        words = np.random.SeedSequence([self._cfg.seed, self._learner.policy_version]).generate_state(1)
        return int(words[0])

    def __enter__(self) -> Self:
        cfg, folder, learner = self._cfg, self._folder, self._learner
        changes = changes_of_this_command(cfg) if self._continues else []
        self._display.start()  # it shows what is said from here on
        try:
            folder.prepare(cfg.restart_behavior)
            write_config(folder.path, cfg)  # first of all: it is what makes the folder that of a run
            self._log_file = log_to_file(folder.log) if cfg.log_to_file else None
            write_json(folder.plan, provenance(cfg, self._plan, self._report_header))
            num_given_up = rewind_metrics(folder, learner.env_steps)
            self._summaries = SummaryWriter(folder, _POLICY, cfg.flush_summaries_interval)
        except (OSError, UsageError) as error:
            self._let_go()
            if isinstance(error, UsageError):
                raise
            raise UsageError(
                f"{folder.path} cannot be written to ({error.strerror or error}); free some space or choose another "
                "--train_dir."
            ) from error
        self._summaries.forget_after(learner.env_steps)
        for line in (*self._plan.notices, *self._report_header):
            log.info(line)
        log.info("%s %s in %s", "Continuing" if self._continues else "Starting", cfg.env, folder.path)
        if self._continues:
            log.info("Restored %s at %s env steps", self._checkpoints.newest, f"{learner.env_steps:,}")
        for change in changes:
            log.info("Changed: --%s was %s and is %s", change.name, change.before, change.now)
        if num_given_up:
            log.info("%d reports after that moment were moved to %s", num_given_up, folder.given_up_metrics.name)
        frame_skip = cfg.env_frameskip if cfg.summaries_use_frameskip else 1
        self.progress = Progress(
            learner,
            window=cfg.stats_avg,
            frame_skip=frame_skip,
            seconds_before=self._checkpoints.seconds,
            counters_before=self._checkpoints.counters,
        )
        self.progress.episodes.restore(self._checkpoints.episodes)
        now = time.monotonic()
        self._next_show_s = now + self._display.interval_s
        self._next_summary_s = now + cfg.experiment_summaries_interval
        try:
            self._evaluations.begin(cfg, folder.path, folder.checkpoints(_POLICY), learner.env_steps)
            self.observers.on_start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._evaluations.abandon()
        self._summaries.close()
        self._let_go()

    def _let_go(self) -> None:
        self._folder.release()
        self._display.stop()
        if self._log_file is not None:
            log.removeHandler(self._log_file)
            self._log_file.close()

    @property
    def continues(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return self._continues

    def resumed(self, why_new_episodes: str = "") -> None:
        """The environments of a continued run are there; they begin new episodes if there is a reason for it."""
        if why_new_episodes:
            self._checkpoints.resumed_exactly = False
            log.info("New episodes begin: %s", why_new_episodes)

    def collected(self, episodes: Sequence[FinishedEpisode], agent_steps: int) -> None:
        """Some agents have filled a rollout, `agent_steps` in all; these episodes ended meanwhile."""
        self.progress.add_collected(episodes, agent_steps)
        self.observers.on_episodes(_POLICY, episodes)

    def trained(self, scalars: Mapping[str, float], skipped_updates: int, samples: SampleCounts) -> None:
        """A training iteration ended: save, write and show what is due. `scalars` are its numbers by tag."""
        self.progress.add_iteration(scalars, samples)
        self._skipped_updates += skipped_updates
        self._num_iterations += 1
        self.observers.on_train_step(_POLICY, scalars)
        to_be_evaluated = self._evaluations.wants_checkpoint(self._learner.env_steps)
        self._checkpoints.after_iteration(self.progress.episodes, self.progress.seconds, self._saved)
        if self.observers.take_checkpoint_request() or to_be_evaluated:
            self._checkpoints.save(self.progress.episodes, self.progress.seconds, self._saved)
        self.tick()

    def tick(self) -> None:
        """Write and show the newest numbers where the last ones are old enough. Cheap enough for every step."""
        if (evaluated := self._evaluations.finished()) is not None:
            self._write_evaluation(evaluated)
        now = time.monotonic()
        if now >= self._next_summary_s:
            self._next_summary_s = now + self._cfg.experiment_summaries_interval
            self._write_summary()
        if now >= self._next_show_s:
            self._next_show_s = now + self._display.interval_s
            self._display.show(self._report())

    def reason_to_stop(self) -> str:
        """Why the run is over; empty while it is not."""
        if self._learner.env_steps >= self._cfg.train_for_env_steps:
            return f"train_for_env_steps={self._cfg.train_for_env_steps} reached"
        if self.progress.seconds >= self._cfg.train_for_seconds:
            return f"train_for_seconds={self._cfg.train_for_seconds} reached"
        return self.observers.stop_reason

    def finish(self, status: ExperimentStatus, reason: str, *, save: bool = True) -> ExperimentStatus:
        """Save the last state and write `result.json`; returns how the run is to be remembered.

        Args:
            status: how the loop ended.
            reason: why.
            save: the learner is there and between two iterations.

        Returns:
            `status`, or FAILURE where the last state could not be saved.
        """
        if save:
            try:
                self._checkpoints.save_at_end(self.progress.episodes, self.progress.seconds, self._saved)
            except OSError as error:
                log.error("The last state cannot be saved: %s", error)
            if status is not ExperimentStatus.FAILURE and not self._checkpoints.is_saved:
                status, reason = ExperimentStatus.FAILURE, f"{reason}, but the last state could not be saved"
        self._training_ended()
        extra: dict[str, float] = {}
        with _the_end_goes_on():
            if status is ExperimentStatus.SUCCESS and self._num_iterations:
                for evaluated in self._evaluations.finish(self._checkpoints.newest):
                    self._write_evaluation(evaluated)
            self._evaluations.abandon()
            extra = self.observers.summaries(_POLICY, self._learner.env_steps)
        report = self._report(extra)
        self._display.show(report)
        told = self._told() if self._continues and not self._num_iterations else {}
        is_told = told.get("policy_version") == report.policy_version
        # a run that was over before it was started again stays as it was
        if not is_told or (told.get("status"), told.get("reason")) != (status.name.lower(), reason):
            try:
                write_json(self._folder.result, self._result(status, reason, report))
            except OSError as error:
                log.error("result.json cannot be written (%s)", error.strerror)
        if not is_told:
            with _the_end_goes_on():
                self._write(report)
        with _the_end_goes_on():  # what takes observers long comes when everything else is safe
            self.observers.on_stop(status)
        if status is ExperimentStatus.FAILURE and set(self._plan.plugins) - {"core"}:
            log.info("To rule out plugins, run without them: -p no:NAME, or SF_PLUGINS='' for all of them.")
        for name in self.observers.disabled:
            log.warning("Observer %s was switched off during the run", name)
        if report.bottleneck:
            log.info(report.bottleneck)
        log.info("%s: %s", status.name.capitalize(), reason)
        return status

    def _told(self) -> Mapping[str, object]:
        """`result.json`: of this state, or of an earlier one that a killed process has left behind, or nothing."""
        try:
            told = json.loads(self._folder.result.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}

    def _training_ended(self) -> None:
        """What is still waited for, evaluations for example, is no time of training."""
        self.progress.training_ended()
        time_s, bottleneck = dict(self._time_s()), self._bottleneck()
        self._time_s, self._bottleneck = (lambda: time_s), (lambda: bottleneck)

    def _saved(self, path: Path) -> None:
        self._evaluations.checkpoint_saved(path)
        self.observers.on_checkpoint(_POLICY, path)

    def _write_evaluation(self, evaluated: Evaluated) -> None:
        """Its scalars belong to the steps behind its checkpoint, its line to this moment."""
        self._summaries.write_scalars(evaluated.scalars(), evaluated.env_steps)
        self._write_summary(evaluated)

    def _write_summary(self, evaluated: Evaluated | None = None) -> None:
        report = self._report(self.observers.summaries(_POLICY, self._learner.env_steps))
        if evaluated is not None:
            report = dataclasses.replace(report, evaluation=evaluated.to_json())
        self._write(report)

    def _write(self, report: Report) -> None:
        last = self._evaluations.last
        self._run.metrics = {**report.scalars(), **(last.scalars() if last else {})}
        self._summaries.write(report)
        self.progress.summary_written(report)
        self.observers.on_report(_POLICY, report.env_steps, self._run.metrics)

    def _report(self, extra: dict[str, float] | None = None) -> Report:
        return self.progress.report(self._time_s(), self._counters(), self._gauges(), extra, self._bottleneck())

    def _counters(self) -> dict[str, int]:
        return {**self._engine_counters(), "skipped_updates": self._skipped_updates}

    def _result(self, status: ExperimentStatus, reason: str, report: Report) -> dict[str, object]:
        newest = self._checkpoints.newest
        return {
            "status": status.name.lower(),
            "reason": reason,
            "env_steps": report.env_steps,
            "agent_steps": report.agent_steps,
            "policy_version": report.policy_version,
            "seconds": round(report.seconds, 3),
            "fps": self.progress.session_fps,
            "episodes": report.episodes,
            "reward_mean": report.reward_mean,
            "episode_length_mean": report.episode_length_mean,
            "time": {name: round(seconds, 3) for name, seconds in report.time_s.items()},
            "seed": self._cfg.seed,
            "checkpoint": newest.name if newest else None,
            "resumed_exactly": self._checkpoints.resumed_exactly,
            **report.counters,
            **({"eval": self._evaluations.last.to_json()} if self._evaluations.last else {}),
        }


@contextmanager
def _the_end_goes_on() -> Iterator[None]:
    """A critical observer must not keep the result from being written."""
    try:
        yield
    except Exception:
        log.exception("An observer failed at the end of the run")
