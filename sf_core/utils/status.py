"""How a run ended, as the exit code of its process."""

from __future__ import annotations

from enum import IntEnum


class ExperimentStatus(IntEnum):
    """The exit codes of `sf-train`; a command line that cannot be understood exits with 2 instead."""

    SUCCESS = 0
    FAILURE = 1
    INTERRUPTED = 130  # 128 + SIGINT, as shells report it; the state was saved
