"""What has happened in a run so far, gathered for the next report.

In: finished episodes, training iterations, time. Out: a `Report`. Knows no files and no terminal.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from sf_core.learner.sample_counts import LagSpread, SampleCounts
from sf_core.plugins.observer import EpisodeView
from sf_core.runner.reports.statistics import EpisodeStatistics, RateMeter
from sf_core.runner.reports.summaries import Report


class Trained(Protocol):
    """Counters of the learner, which say how far a run is."""

    @property
    def env_steps(self) -> int:
        """Env steps trained on so far."""

    @property
    def agent_steps(self) -> int:
        """Agent steps trained on so far."""

    @property
    def policy_version(self) -> int:
        """Optimizer steps so far."""


class Progress:
    """Statistics of one policy's run. `seconds_before` and `counters_before` are those of earlier continuations."""

    def __init__(
        self,
        learner: Trained,
        *,
        window: int,
        frame_skip: int,
        seconds_before: float = 0.0,
        counters_before: Mapping[str, int] | None = None,
    ) -> None:
        self.episodes = EpisodeStatistics(window, frame_skip)
        self._learner = learner
        self._rate = RateMeter()
        self._sampling = RateMeter()
        self._collected = 0  # agent steps, trained on or not
        self._seconds_before = seconds_before
        self._counters_before = counters_before or {}
        self._start_s = time.monotonic()
        self._end_s: float | None = None
        self._start_env_steps = learner.env_steps
        self._training: Mapping[str, float] = {}
        self._samples = SampleCounts()
        self._policy_lag: Mapping[int, int] = {}  # since the last summary, or before it if nothing was trained on since
        self._lag_is_written = False
        self._written_time_s: Mapping[str, float] = {}  # of the last summary
        self._rate.record(self._start_s, learner.env_steps)
        self._sampling.record(self._start_s, 0)

    @property
    def seconds(self) -> float:
        """Training time of the run, all continuations together."""
        return self._seconds_before + self._session_s

    @property
    def _session_s(self) -> float:
        return (self._end_s or time.monotonic()) - self._start_s

    def training_ended(self) -> None:
        """What is still done, evaluations for example, is no training time."""
        if self._end_s is None:
            self._end_s = time.monotonic()
            self._sampling.record(self._end_s, self._collected)  # of a short run the only report is yet to come

    @property
    def session_fps(self) -> float:
        """Env steps per second since this process began to train."""
        return (self._learner.env_steps - self._start_env_steps) / max(self._session_s, 1e-9)

    def add_collected(self, episodes: Sequence[EpisodeView], agent_steps: int) -> None:
        """Count what was collected, and episodes that finished meanwhile."""
        self.episodes.add(episodes)
        self._collected += agent_steps

    def add_iteration(self, training: Mapping[str, float], samples: SampleCounts) -> None:
        """A training iteration ended; `training` are its scalars by tag."""
        self._training = training
        before = {} if self._lag_is_written else self._policy_lag
        self._policy_lag = (SampleCounts(policy_lag=before) + samples).policy_lag
        self._lag_is_written = False
        self._samples += dataclasses.replace(samples, policy_lag={})
        self._rate.record(time.monotonic(), self._learner.env_steps)

    def summary_written(self, report: Report) -> None:
        """Policy lag and use of time in the next summary are those of later iterations."""
        self._lag_is_written = True
        self._written_time_s = report.time_s

    def counted(self, counters: Mapping[str, int]) -> dict[str, int]:
        """`counters` of this process and what became of the samples, with those of earlier continuations.

        These may have counted something else, in another engine.
        """
        here, before = {**self._samples.by_fate(), **counters}, self._counters_before
        return {name: here.get(name, 0) + before.get(name, 0) for name in {**here, **before}}

    def report(
        self,
        time_s: Mapping[str, float],
        counters: Mapping[str, int] | None = None,
        gauges: Mapping[str, float] | None = None,
        extra: Mapping[str, float] | None = None,
        bottleneck: str = "",
    ) -> Report:
        """The state of the run now; `counters` only grow, `gauges` say how things are."""
        short, middle, long = self._rate.rates()
        if self._end_s is None:  # what is waited for afterwards says nothing about speed
            self._sampling.record(time.monotonic(), self._collected)
        return Report(
            policy_id=0,
            env_steps=self._learner.env_steps,
            agent_steps=self._learner.agent_steps,
            policy_version=self._learner.policy_version,
            seconds=self.seconds,
            fps=(short, middle, long),
            sample_throughput=self._sampling.rates()[0],
            episodes=self.episodes.num_episodes,
            spreads=self.episodes.spreads(),
            training=self._training,
            time_s=time_s,
            recent_time_s={part: seconds - self._written_time_s.get(part, 0.0) for part, seconds in time_s.items()},
            counters=self.counted(counters or {}),
            policy_lag=LagSpread.of(self._policy_lag),
            gauges=gauges or {},
            extra=extra or {},
            bottleneck=bottleneck,
        )
