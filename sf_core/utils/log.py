"""The logger of the package.

Importing this configures nothing: without a handler, warnings and errors reach stderr as plain sentences
(`logging.lastResort`). The command line and the runner add handlers.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("sf_core")

FILE_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(message)s"


def log_to_file(path: str | Path, level: int = logging.DEBUG) -> logging.FileHandler:
    """Append every record of `level` and above to `path`; returns the handler, for `log.removeHandler`.

    Folders on the way are created. What a console handler shows is not changed. A full disk costs lines, nothing else.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(FILE_FORMAT))
    log.addHandler(handler)
    if log.getEffectiveLevel() > level:
        log.setLevel(level)
    return handler


class _LogFile(logging.FileHandler):
    """Who is told of a full disk is told by other means than a traceback for every line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  a name of `logging`
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()
