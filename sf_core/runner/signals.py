"""Ctrl+C and SIGTERM: the first asks the run to save and end, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from sf_core.utils.status import ExperimentStatus

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """While entered, `requested` turns True at the first SIGINT or SIGTERM; a second one leaves the process."""

    def __init__(self) -> None:
        self.requested = False
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
        self.requested = True
