"""Where the time goes: seconds per named part, with one clock read per change of part.

stopwatch = Stopwatch(("env", "inference", "train", "other"))
stopwatch.start("env"); ...; stopwatch.start("inference"); ...; stopwatch.seconds
"""

from __future__ import annotations

import time
from collections.abc import Iterable


class Stopwatch:
    """Seconds spent in each part; exactly one part runs at a time, so the parts add up to the whole."""

    def __init__(self, parts: Iterable[str]) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(parts, 0.0)
        self._running = next(iter(self.seconds))
        self._since = time.perf_counter()

    def start(self, part: str) -> None:
        """Close the running part and begin `part`."""
        now = time.perf_counter()
        self.seconds[self._running] += now - self._since
        self._running, self._since = part, now

    def snapshot(self) -> dict[str, float]:
        """Seconds per part up to now."""
        self.start(self._running)
        return dict(self.seconds)
