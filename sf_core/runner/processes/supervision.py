"""Which rollout workers are to be started again, and which processes do not move any more.

In: deaths, signs of life, time. Out: whose turn it is. Starts nobody.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from sf_core.runner.processes.crew import Member
from sf_core.runner.processes.vitals import Vitals

_MAX_DEATHS = 10  # of one worker within the window; a run of weeks may lose more in all
_WINDOW_S = 1800.0
_FIRST_BACK_OFF_S = 0.5
_LONGEST_BACK_OFF_S = 30.0
_LONGEST_DUMP_S = 3.0
_START_UP_FACTOR = 3  # importing a simulator may take longer than any step


class Restarts:
    """Workers that died.

    Before its slots go to others, every inference process must have noticed: it may still be writing answers for the
    dead one. Before it is started again, some time has to pass, more every time.
    """

    def __init__(self, num_inference: int) -> None:
        self._num_inference = num_inference
        self._deaths_s: defaultdict[int, deque[float]] = defaultdict(deque)  # worker -> its last deaths
        self._attempts: defaultdict[int, int] = defaultdict(int)  # worker -> deaths so far
        self._noticed: dict[int, set[int]] = {}  # worker -> inference processes that let go of it
        self._due_s: dict[int, float] = {}  # worker -> when it may start; only those that died

    @property
    def total(self) -> int:
        """Restarts so far."""
        return sum(self._attempts.values())

    def died(self, worker: int) -> bool:
        """A worker died; False where it did so too often."""
        now, deaths_s = time.monotonic(), self._deaths_s[worker]
        while deaths_s and now - deaths_s[0] > _WINDOW_S:
            deaths_s.popleft()
        self._due_s[worker] = now + min(_FIRST_BACK_OFF_S * 2 ** len(deaths_s), _LONGEST_BACK_OFF_S)
        deaths_s.append(now)
        self._attempts[worker] += 1
        return len(deaths_s) <= _MAX_DEATHS

    def noticed(self, worker: int, inference: int) -> None:
        """An inference process has answered everything that a worker asked, and let go of it."""
        self._noticed.setdefault(worker, set()).add(inference)

    def released(self, worker: int) -> bool:
        """True where a worker is dead and nobody writes for it any more."""
        return worker in self._due_s and len(self._noticed.get(worker, ())) == self._num_inference

    def due(self) -> Iterator[tuple[int, int]]:
        """Workers to start now, each with the number of the attempt; they are alive from here on."""
        now = time.monotonic()
        for worker in [worker for worker, due_s in self._due_s.items() if now >= due_s and self.released(worker)]:
            del self._due_s[worker], self._noticed[worker]
            yield worker, self._attempts[worker]


def silent_members(members: Iterable[Member], vitals: Vitals, limit_s: float) -> Iterator[tuple[Member, float]]:
    """Processes without a sign of life for longer than `limit_s`, three times that while they start.

    The learner is left out: one training iteration may take any time.
    """
    now = time.monotonic()
    for member in members:
        silence_s = now - max(float(vitals.heartbeat_s[member.vitals_row]), member.started_s)
        allowed_s = limit_s if member.up else limit_s * _START_UP_FACTOR
        if member.kind != "learner" and silence_s > allowed_s and member.process.is_alive():
            yield member, silence_s


def end_silent(member: Member) -> None:
    """End a process so that it leaves a stack dump (see `process.begin_process`); the second time without."""
    if not member.failure and member.process.pid is not None:
        member.failure = "silent for too long"
        os.kill(member.process.pid, signal.SIGABRT)
        member.ending_s = time.monotonic()
    elif time.monotonic() - member.ending_s > _LONGEST_DUMP_S:  # it is stopped, or deep inside the system
        member.process.kill()
