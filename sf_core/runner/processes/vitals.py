"""Signs of life, use of time and memory of every process, where all can see them.

In: each process writes its own row. Out: who has been silent for how long, who works and who waits. numpy only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sf_core.utils.memory import own_bytes

LEARNER = 0  # row; the inference processes follow, then the rollout workers


class Vitals:
    """One row per process.

    Attributes:
        heartbeat_s: `[P]` float64, `time.monotonic()` of the last sign of life; 0 before the first.
        busy_s: `[P]` float64, seconds spent working.
        waiting_s: `[P]` float64, seconds spent waiting for others.
        approximate_bootstraps: `[P]` int64, of inference processes.
        late_rewards: `[P]` int64, of rollout workers.
        passes: `[P]` int64, times an inference process has answered.
        requests: `[P]` int64, requests of env groups that it has answered in them.
        memory_bytes: `[P]` int64, resident memory, shared memory included.
        device_bytes: `[P, 2]` int64, memory of a CUDA device that tensors take, and that torch holds for them.
    """

    def __init__(
        self, allocate: Callable[[str, tuple[int, ...], np.dtype[Any]], np.ndarray], num_processes: int
    ) -> None:
        self.heartbeat_s = allocate("vitals/heartbeat_s", (num_processes,), np.dtype(np.float64))
        self.busy_s = allocate("vitals/busy_s", (num_processes,), np.dtype(np.float64))
        self.waiting_s = allocate("vitals/waiting_s", (num_processes,), np.dtype(np.float64))
        self.approximate_bootstraps = allocate("vitals/approximate", (num_processes,), np.dtype(np.int64))
        self.late_rewards = allocate("vitals/late_rewards", (num_processes,), np.dtype(np.int64))
        self.passes = allocate("vitals/passes", (num_processes,), np.dtype(np.int64))
        self.requests = allocate("vitals/requests", (num_processes,), np.dtype(np.int64))
        self.memory_bytes = allocate("vitals/memory_bytes", (num_processes,), np.dtype(np.int64))
        self.device_bytes = allocate("vitals/device_bytes", (num_processes, 2), np.dtype(np.int64))


class Pulse:
    """The row of one process, written by it. `device_bytes` says how much of its device's memory it uses."""

    def __init__(self, vitals: Vitals, row: int, device_bytes: Callable[[], tuple[int, int]] | None = None) -> None:
        self._heartbeat = vitals.heartbeat_s[row : row + 1]
        self._busy = vitals.busy_s[row : row + 1]
        self._waiting = vitals.waiting_s[row : row + 1]
        self._memory = vitals.memory_bytes[row : row + 1]
        self._device = vitals.device_bytes[row]
        self._device_bytes = device_bytes
        self._next_measure_s = 0.0
        self._since = time.monotonic()
        self._heartbeat[0] = self._since

    def waited(self) -> None:
        """The time since the last call was spent waiting; work begins."""
        now = time.monotonic()
        self._waiting[0] += now - self._since
        self._heartbeat[0] = self._since = now

    def worked(self) -> None:
        """The time since the last call was spent working; waiting begins."""
        now = time.monotonic()
        self._busy[0] += now - self._since
        self._heartbeat[0] = self._since = now
        if now >= self._next_measure_s:
            self._next_measure_s = now + _MEASURE_EVERY_S
            self._memory[0] = own_bytes()
            if self._device_bytes is not None:
                self._device[:] = self._device_bytes()


class TimeReport:
    """Seconds per kind of process, and which kind the others wait for."""

    def __init__(self, vitals: Vitals, num_inference: int, *, asynchronous: bool) -> None:
        self._vitals = vitals
        self._asynchronous = asynchronous
        first_worker = 1 + num_inference
        self._rows = {
            "env": slice(first_worker, None),
            "inference": slice(1, first_worker),
            "learner": slice(LEARNER, 1),
        }

    def seconds(self) -> dict[str, float]:
        """Working and waiting, the mean over the processes of each kind."""
        result = {}
        for kind, rows in self._rows.items():
            result[kind] = float(self._vitals.busy_s[rows].mean())
            result[f"{kind}_waiting"] = float(self._vitals.waiting_s[rows].mean())
        return result

    def busy(self) -> dict[str, float]:
        """Fraction of its time in which each kind works."""
        seconds = self.seconds()
        return {kind: seconds[kind] / max(seconds[kind] + seconds[f"{kind}_waiting"], 1e-9) for kind in self._rows}

    def bottleneck(self) -> str:
        """One sentence: what limits the run, and the flag to turn; empty while the run has just begun."""
        busy = self.busy()
        kind = max(busy, key=lambda name: busy[name])
        if self._vitals.busy_s[LEARNER] + self._vitals.waiting_s[LEARNER] < _FIRST_S:
            return ""
        sentence = _SENTENCES[kind] if busy[kind] >= _WORKS else _TURNS[self._asynchronous]
        return f"{sentence} ({kind} works {100 * busy[kind]:.0f} % of its time)"


def serial_bottleneck(seconds: Mapping[str, float]) -> str:
    """The same sentence for a run in one process, from its seconds per part."""
    total = sum(seconds.values())
    if total < _FIRST_S:
        return ""
    kind = max(_SERIAL_SENTENCES, key=lambda name: seconds[name])
    return f"{_SERIAL_SENTENCES[kind]} ({kind} takes {100 * seconds[kind] / total:.0f} % of the time)"


_MEASURE_EVERY_S = 5.0  # reading it costs some ten microseconds
_FIRST_S = 5.0  # in which nothing can be said
_WORKS = 0.5  # of the time: less, and nobody is waited for
_TURNS = {
    True: "Nobody works half of the time, everybody waits for messages: raise --num_envs_per_worker",
    False: "Collecting and training wait for each other: use --async_rl=True",
}
_SENTENCES = {
    "env": "Environments are the bottleneck: raise --num_workers if cores are idle",
    "inference": "Inference is the bottleneck: raise --num_envs_per_worker for larger batches, or use "
    "--policy_workers_per_policy=2",
    "learner": "The learner is the bottleneck: lower --num_epochs, raise --batch_size, or give it more --torch_threads",
}
_SERIAL_SENTENCES = {
    "env": "Environments are the bottleneck: step them in processes of their own with --serial_mode=False",
    "inference": "Inference is the bottleneck: raise --num_envs_per_worker (and --batch_size) for larger batches",
    "learner": _SENTENCES["learner"],
}
