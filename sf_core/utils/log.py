"""The logger of the package.

Importing this configures nothing: without a handler, warnings and errors reach stderr as plain sentences
(`logging.lastResort`). The command line and the runner add handlers.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger("sf_core")

FILE_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(message)s"


def log_to_file(path: str | Path, level: int = logging.DEBUG) -> logging.FileHandler:
    """Append every record of `level` and above to `path`; returns the handler, for `log.removeHandler`.

    Folders on the way are created. What a console handler shows is not changed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(FILE_FORMAT))
    log.addHandler(handler)
    if log.getEffectiveLevel() > level:
        log.setLevel(level)
    return handler
