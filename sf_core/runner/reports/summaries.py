"""What a run writes down while it lasts: TensorBoard events and `metrics.jsonl`.

In: one `Report` per interval. Out: scalars under Sample Factory's tag names, and one flushed JSON line.
Knows nothing of how the numbers came about.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from sf_core.learner.sample_counts import LagSpread
from sf_core.runner.files.run_folder import RunFolder, finite
from sf_core.runner.reports.statistics import Spread, time_shares
from sf_core.utils.log import log


@dataclass(frozen=True)
class Report:
    """The state of a run at one moment: what the display shows and the files keep.

    `seconds` counts training time over all continuations of the run; `time_s` is the breakdown of this process's time;
    `training` holds the scalars of the last training iteration; `counters` and `gauges` what the engine counts and
    measures; `extra` the scalars of observers.
    """

    policy_id: int
    env_steps: int
    agent_steps: int
    policy_version: int
    seconds: float
    fps: tuple[float, float, float]
    """Env steps per second over the last 10, 60 and 300 seconds."""
    episodes: int
    spreads: Mapping[str, Spread]
    training: Mapping[str, float]
    time_s: Mapping[str, float]
    counters: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    policy_lag: LagSpread = field(default_factory=lambda: LagSpread.of({}))
    """Of the steps trained on since the last summary."""
    bottleneck: str = ""
    """What limits a parallel run, and the flag to turn."""
    evaluation: Mapping[str, Any] | None = None
    """The result of an evaluation that came in at this moment."""
    sample_throughput: float = math.nan
    """Agent steps collected per second over the last 10 seconds, trained on or not."""
    gauges: Mapping[str, float] = field(default_factory=dict)
    recent_time_s: Mapping[str, float] = field(default_factory=dict)
    """The breakdown of the time since the last summary."""

    @property
    def reward_mean(self) -> float:
        """Mean raw return of the last episodes; NaN before the first."""
        return self._mean("reward")

    @property
    def episode_length_mean(self) -> float:
        """Mean episode length in env steps; NaN before the first."""
        return self._mean("len")

    def _mean(self, name: str) -> float:
        spread = self.spreads.get(name)
        return spread.mean if spread else math.nan

    def scalars(self) -> dict[str, float]:
        """TensorBoard tags, named as Sample Factory names them."""
        tags: dict[str, float] = {"perf/_fps": self.fps[0], "perf/_sample_throughput": self.sample_throughput}
        # without an objective of the env's own, the return is what counts
        stand_in = {_OBJECTIVE: self.spreads["reward"]} if "reward" in self.spreads else {}
        for name, spread in {**stand_in, **self.spreads}.items():
            tag = _tag_of(name)
            tags[tag] = spread.mean
            if name in _WITH_BOUNDS:
                tags[f"{tag}_min"], tags[f"{tag}_max"] = spread.minimum, spread.maximum
        tags.update(self.training)
        if sum(self.recent_time_s.values()):
            tags.update({f"time/{part}": share for part, share in time_shares(self.recent_time_s).items()})
        tags.update({f"stats/{name}": float(number) for name, number in {**self.counters, **self.gauges}.items()})
        tags.update(self.extra)
        return {tag: value for tag, value in tags.items() if math.isfinite(value)}

    def to_json(self) -> dict[str, Any]:
        """The line of `metrics.jsonl`. Training scalars lose their `train/` prefix."""
        return {
            # names of the run's own come last, so that nothing an observer or env reports can stand in for them
            **{tag.removeprefix("train/"): value for tag, value in self.training.items()},
            **{tag: spread.mean for tag, spread in self.spreads.items() if tag not in ("reward", "len")},
            **self.extra,
            **self.counters,
            **self.gauges,
            "policy_id": self.policy_id,
            "env_steps": self.env_steps,
            "agent_steps": self.agent_steps,
            "policy_version": self.policy_version,
            "seconds": round(self.seconds, 3),
            "fps": self.fps[0],
            "sample_throughput": self.sample_throughput,
            "episodes": self.episodes,
            "reward_mean": self.reward_mean,
            "episode_length_mean": self.episode_length_mean,
            "policy_lag": {
                "min": self.policy_lag.minimum,
                "mean": self.policy_lag.mean,
                "max": self.policy_lag.maximum,
                "histogram": {str(lag): count for lag, count in self.policy_lag.histogram.items()},
            },
            "time": {name: round(seconds, 3) for name, seconds in self.time_s.items()},
            **({"bottleneck": self.bottleneck} if self.bottleneck else {}),
            **({"eval": self.evaluation} if self.evaluation else {}),
        }


_OBJECTIVE = "true_objective"
_WITH_BOUNDS = ("reward", "len", _OBJECTIVE)


def _tag_of(statistic: str) -> str:
    """A statistic of episodes in TensorBoard: one with a `/` in its name makes a group of its own."""
    if statistic in ("reward", "len"):
        return f"{statistic}/{statistic}"
    return statistic if "/" in statistic else f"policy_stats/avg_{statistic}"


class SummaryWriter:
    """Writes reports of one policy to TensorBoard and to `metrics.jsonl`."""

    def __init__(self, folder: RunFolder, policy_id: int, flush_interval_s: float) -> None:
        self._directory = folder.summaries(policy_id)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._flush_s = max(1, int(flush_interval_s))
        self._events: EventFileWriter | None = self._event_file()
        self._metrics = folder.metrics.open("ab", buffering=0)
        self._warned = False

    def _event_file(self) -> EventFileWriter:
        return EventFileWriter(str(self._directory), flush_secs=self._flush_s)

    def write(self, report: Report) -> None:
        """One report: scalars at x = env steps, and one flushed line.

        What a full disk does not take is left out, with one warning; once there is room again, reports go on.
        """
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in report.scalars().items()]
        if report.policy_lag.histogram:
            values.append(Summary.Value(tag="train/policy_lag", histo=_histogram(report.policy_lag)))
        event = Event(wall_time=time.time(), step=report.env_steps, summary=Summary(value=values))
        line = json.dumps(finite(report.to_json()), allow_nan=False) + "\n"
        with self._training_goes_on():
            self._append(line.encode())
            self._add(event)  # where there was room for the line
            if self._warned:
                log.info("Metrics are written again.")
            self._warned = False

    def write_scalars(self, scalars: Mapping[str, float], env_steps: int) -> None:
        """Scalars of their own, at other env steps than the reports."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items() if math.isfinite(value)]
        with self._training_goes_on():
            self._add(Event(wall_time=time.time(), step=env_steps, summary=Summary(value=values)))

    def forget_after(self, env_steps: int) -> None:
        """Have TensorBoard leave out what earlier event files say of later steps: they are done again."""
        start = Event(wall_time=time.time(), step=env_steps + 1, session_log=SessionLog(status=SessionLog.START))
        with self._training_goes_on():
            self._add(start)

    def close(self) -> None:
        """Flush and close both files."""
        for file in (self._events, self._metrics):
            with self._training_goes_on():
                if file is not None:
                    file.close()

    def _append(self, line: bytes) -> None:
        """A line as a whole or not at all."""
        end = self._metrics.seek(0, os.SEEK_END)
        try:
            if self._metrics.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._metrics.truncate(end)
            raise

    def _add(self, event: Event) -> None:
        """A writer of events that has failed fails for ever, and its file may end in half an event: another follows."""
        if self._events is None:
            self._events = self._event_file()
        try:
            self._events.add_event(event)
        except OSError:
            self._events = None
            raise

    @contextmanager
    def _training_goes_on(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._warned:
                log.warning("Metrics cannot be written (%s); training goes on without them.", error.strerror)
            self._warned = True


_MOST_BUCKETS = 200


def _histogram(lag: LagSpread) -> HistogramProto:
    """TensorBoard's form: buckets of equal width, one for each number of optimizer steps while these are few."""
    low, high = int(lag.minimum), int(lag.maximum)
    width = -(-(high - low + 1) // _MOST_BUCKETS)
    counts = [0] * ((high - low) // width + 1)
    for steps, count in lag.histogram.items():
        counts[(steps - low) // width] += count
    return HistogramProto(
        min=low,
        max=high,
        num=sum(counts),
        sum=sum(steps * count for steps, count in lag.histogram.items()),
        sum_squares=sum(steps * steps * count for steps, count in lag.histogram.items()),
        # the first bucket is empty: it says where the second one begins
        bucket_limit=[low - 0.5, *(low - 0.5 + width * (index + 1) for index in range(len(counts)))],
        bucket=[0, *counts],
    )
