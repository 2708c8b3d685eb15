"""Averages over the last episodes and over the last seconds: what every report quotes.

In: finished episodes, step counters with a clock. Out: means, minima, maxima, frames per second. Writes nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sf_core.plugins.observer import EpisodeView


@dataclass(frozen=True)
class Spread:
    """Mean, minimum and maximum of one statistic over the last episodes."""

    mean: float
    minimum: float
    maximum: float


class EpisodeStatistics:
    """The last `window` episodes of one policy, over all its agents."""

    def __init__(self, window: int, frame_skip: int = 1) -> None:
        self.num_episodes = 0
        self._window = window
        self._frame_skip = frame_skip
        self._last: dict[str, deque[float]] = {}

    def add(self, episodes: Iterable[EpisodeView]) -> None:
        """Count finished episodes. Lengths are kept in env steps (agent steps × frame skip)."""
        for episode in episodes:
            self.num_episodes += 1
            own = {"reward": episode.reward, "len": episode.length * self._frame_skip}
            for name, value in {**episode.extra_stats, **own}.items():  # an env that says `len`, too, is not counted
                self._append(name, value)

    def _append(self, name: str, value: float) -> None:
        self._last.setdefault(name, deque(maxlen=self._window)).append(float(value))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a continued run reports the same averages."""
        return {"count": self.num_episodes, "last": {name: list(values) for name, values in self._last.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` returned."""
        self.num_episodes = int(state.get("count", 0))
        for name, values in state.get("last", {}).items():
            for value in values:
                self._append(name, math.nan if value is None else value)  # JSON has no word for NaN

    def mean(self, name: str) -> float:
        """Mean of one statistic over the last episodes; NaN before the first."""
        values = self._last.get(name)
        return sum(values) / len(values) if values else math.nan

    def spreads(self) -> dict[str, Spread]:
        """Every statistic seen so far."""
        return {
            name: Spread(sum(values) / len(values), min(values), max(values)) for name, values in self._last.items()
        }


class RateMeter:
    """Steps per second over sliding windows, from (time, count) pairs."""

    def __init__(self, windows_s: tuple[float, ...] = (10.0, 60.0, 300.0)) -> None:
        self._windows_s = windows_s
        self._points: deque[tuple[float, int]] = deque()

    def record(self, time_s: float, count: int) -> None:
        """Note that `count` steps were done at `time_s`, forgetting what no window reaches any more."""
        self._points.append((time_s, count))
        horizon = time_s - max(self._windows_s)
        while len(self._points) > 2 and self._points[1][0] < horizon:
            self._points.popleft()

    def rates(self) -> tuple[float, ...]:
        """Steps per second over each window; NaN until two points are known."""
        return tuple(self._rate(window) for window in self._windows_s)

    def _rate(self, window_s: float) -> float:
        if len(self._points) < 2:
            return math.nan
        now, count = self._points[-1]
        start, start_count = next(point for point in self._points if point[0] >= now - window_s)
        if start == now:
            start, start_count = self._points[-2]
        return (count - start_count) / (now - start) if now > start else math.nan


def time_shares(time_s: Mapping[str, float]) -> dict[str, float]:
    """Fraction of the time spent in each part; of a parallel run, in which each kind of process does not wait.

    Args:
        time_s: part -> seconds, which add up to the whole; or kind -> seconds of work beside `<kind>_waiting`.
    """
    waiting = "_waiting"
    kinds = [name for name in time_s if f"{name}{waiting}" in time_s]
    if kinds:
        return {kind: time_s[kind] / ((time_s[kind] + time_s[kind + waiting]) or 1.0) for kind in kinds}
    total = sum(time_s.values()) or 1.0
    return {part: seconds / total for part, seconds in time_s.items()}
