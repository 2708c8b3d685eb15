"""Memory and pace of the processes of a run: numbers that go up and down, under Sample Factory's names.

In: what every process says of itself (`vitals`). Out: megabytes and seconds. numpy only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from sf_core.runner.processes.vitals import LEARNER, Vitals
from sf_core.utils.memory import own_bytes

_MB = 2**20
_PACE_OVER_S = 5.0  # the shortest time an average is taken over


def memory_of_one_process(device_bytes: tuple[int, int]) -> dict[str, float]:
    """Of a serial run, whose only process is the learner, too."""
    numbers = {"master_process_memory_mb": own_bytes() / _MB, **_of_device("learner", np.asarray(device_bytes))}
    return {name: value for name, value in numbers.items() if value}


class Gauges:
    """Of a parallel run."""

    def __init__(self, vitals: Vitals, num_inference: int) -> None:
        self._vitals = vitals
        self._inference = slice(1, 1 + num_inference)
        self._workers = slice(1 + num_inference, None)
        self._pace: Mapping[str, float] = {}
        self._counted_s = time.monotonic()
        self._counted = self._counts()

    def read(self) -> dict[str, float]:
        """The numbers now; what nobody has measured is left out.

        Returns:
            master_process_memory_mb, memory_learner, memory_policy_worker, memory_rollout_worker: resident memory, MB,
                the mean over the processes of a kind. It includes the shared memory that a process has touched.
            gpu_mem_learner, gpu_cache_learner, gpu_mem_policy_worker, gpu_cache_policy_worker: memory of the device
                that tensors take, and that torch holds for them, MB.
            avg_request_count: requests of env groups that one pass through the network answers.
            step_policy, wait_policy: seconds that such a pass takes, and that it waits for requests.
        """
        vitals = self._vitals
        numbers = {
            "master_process_memory_mb": own_bytes() / _MB,
            "memory_learner": vitals.memory_bytes[LEARNER] / _MB,
            "memory_policy_worker": vitals.memory_bytes[self._inference].mean() / _MB,
            "memory_rollout_worker": vitals.memory_bytes[self._workers].mean() / _MB,
            **_of_device("learner", vitals.device_bytes[LEARNER]),
            **_of_device("policy_worker", vitals.device_bytes[self._inference].mean(0)),
        }
        return {name: float(value) for name, value in numbers.items() if value} | self._measured_pace()

    def _measured_pace(self) -> dict[str, float]:
        now = time.monotonic()
        if now - self._counted_s >= _PACE_OVER_S:
            counted = self._counts()
            passes, requests, busy_s, waiting_s = counted - self._counted
            self._counted, self._counted_s = counted, now
            if passes:
                self._pace = {
                    "avg_request_count": float(requests / passes),
                    "step_policy": float(busy_s / passes),
                    "wait_policy": float(waiting_s / passes),
                }
        return dict(self._pace)

    def _counts(self) -> np.ndarray:
        vitals, rows = self._vitals, self._inference
        return np.array(
            [column[rows].sum() for column in (vitals.passes, vitals.requests, vitals.busy_s, vitals.waiting_s)]
        )


def _of_device(who: str, used: np.ndarray) -> dict[str, float]:
    return {f"gpu_mem_{who}": float(used[0]) / _MB, f"gpu_cache_{who}": float(used[1]) / _MB}
