"""Ctrl+C and SIGTERM: the first asks the run to save and end, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from sf_core.utils.status import ExperimentStatus

_SIGNALS = {signal.SIGINT: "Ctrl+C", signal.SIGTERM: "SIGTERM"}


class StopSignal:
    """While entered, the first SIGINT or SIGTERM turns `requested` True; a second one leaves the process.

    Attributes:
        requested: whether the run is to end.
        reason: who asked for it, in words; empty before.
    """

    def __init__(self) -> None:
        self.requested = False
        self.reason = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python delivers signals to no other
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(int(ExperimentStatus.INTERRUPTED))
        self.reason = f"stopped by {_SIGNALS[signal.Signals(number)]}; the same command continues the run"
        self.requested = True
