"""How far a training run is, written down by the contender itself: after each training iteration one line.

In: the number of agent steps trained on so far. Out: a file of JSON lines, and whether enough has been measured. The
same file is used in the environment of every contender, so it needs nothing but the standard library.

A rate is read between ends of iterations: the first one after the warm-up, and the last. Time and steps between them
belong to whole iterations, however long one is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "BENCH_PROGRESS"  # environment: the order, as JSON
LEAST_ITERATIONS = 2


@dataclass(frozen=True)
class Window:
    """A stretch of steady state."""

    seconds: float
    agent_steps: int
    iterations: int

    @property
    def rate(self) -> float:
        """Agent steps per second."""
        return self.agent_steps / self.seconds


def steady_window(points: Iterable[tuple[float, int]], warmup_s: float) -> Window | None:
    """The stretch from the first point that lies `warmup_s` after the very first one, to the last point.

    Args:
        points: `(seconds, agent steps)` at the end of each training iteration.
        warmup_s: what follows the first iteration and is left out, too.

    Returns:
        None where fewer than two points are left.
    """
    points = list(points)
    late = [point for point in points if point[0] >= points[0][0] + warmup_s]
    if len(late) < 2:
        return None
    (begin_s, begin), (end_s, end) = late[0], late[-1]
    return Window(end_s - begin_s, end - begin, len(late) - 1)


@dataclass(frozen=True)
class Order:
    """What is to be measured: `seconds` of steady state after `warmup_s`, written to `path`."""

    path: str
    warmup_s: float
    seconds: float

    def to_environment(self) -> dict[str, str]:
        """The variable that hands the order to a contender."""
        return {VARIABLE: json.dumps(vars(self))}


class ProgressLog:
    """Written by a contender while it trains."""

    def __init__(self, order: Order, clock: Callable[[], float] = time.monotonic) -> None:
        self._order, self._clock = order, clock
        self._first_s: float | None = None
        self._begin_s: float | None = None
        self._iterations = 0

    @classmethod
    def from_environment(cls) -> ProgressLog:
        """As the measuring process ordered it."""
        return cls(Order(**json.loads(os.environ[VARIABLE])))

    def iteration(self, agent_steps: int) -> bool:
        """A training iteration ended. True when there is enough and the run may stop."""
        now = self._clock()
        self._write({"s": now, "agent_steps": int(agent_steps)})
        if self._first_s is None:
            self._first_s = now
        if now < self._first_s + self._order.warmup_s:
            return False
        if self._begin_s is None:
            self._begin_s = now
            return False
        self._iterations += 1
        return now - self._begin_s >= self._order.seconds and self._iterations >= LEAST_ITERATIONS

    def facts(self, **facts: float) -> None:
        """What shows that the contender did the same work: `parameters`, `gradient_steps`, `agent_steps`."""
        self._write({"facts": facts})

    def _write(self, record: dict[str, Any]) -> None:
        with Path(self._order.path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read_progress(path: Path) -> tuple[list[tuple[float, int]], dict[str, float]]:
    """Points and facts that a contender has written; both may be empty."""
    points: list[tuple[float, int]] = []
    facts: dict[str, float] = {}
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # it was killed while it wrote
            continue
        if "facts" in record:
            facts.update(record["facts"])
        else:
            points.append((float(record["s"]), int(record["agent_steps"])))
    return points, facts
