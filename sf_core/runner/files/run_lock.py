"""Who trains in a run folder: a mark that the system takes back when the process dies, however it dies.

In: the folder. Out: a lock on `.running`, whose text says who holds it. A run that ends empties the file; one that was
killed leaves the text behind, and the lock is gone: so whoever looks can tell the two apart.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

FILE_NAME = ".running"

Trace = Literal["running", "ended", "died"]
_RETRY_S = 0.5  # somebody who looks holds the lock for an instant
_FRESH_S = 300.0  # where nothing can be locked: metrics younger than this are a sign of life


class RunLock:
    """Held by the process that trains in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._file: BinaryIO | None = None
        _locks.add(self)

    def acquire(self) -> bool:
        """Take the lock; False where another process has it. Where the file system has no locks nobody is kept out."""
        file = self._path.open("a+b", buffering=0)
        deadline = time.monotonic() + _RETRY_S
        while not _try_lock(file):
            if time.monotonic() > deadline:
                file.close()
                return False
            time.sleep(0.02)
        self._file = file
        try:
            self._write(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": _now()}))
        except OSError:  # the disk is full
            self.release()
            raise
        return True

    def release(self) -> None:
        """The run ended in an orderly way; a second call does nothing."""
        if self._file is not None:
            self._write("")
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """In a process that an env or an observer has forked: it must not keep the lock when this one is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, text: str) -> None:
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(text.encode())


_locks: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in _locks:
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def trace_of(directory: Path) -> Trace:
    """Whether a process trains in `directory` now, and if not, whether the last one could end in an orderly way."""
    try:
        file = (directory / FILE_NAME).open("r+b" if sys.platform == "win32" else "rb")
    except OSError:
        return "ended"
    with file:
        try:
            free = _try_lock(file, shared=True, strict=True)
        except OSError:  # a file system without locks
            return _by_age(directory, bool(file.read(1)))
        if not free:
            return "running"
        return "died" if file.read(1) else "ended"


def holder_of(directory: Path) -> dict[str, Any]:
    """Process id, host and begin of who trains in `directory`, or did until it died; empty after an orderly end."""
    try:
        holder = json.loads((directory / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _by_age(directory: Path, has_text: bool) -> Trace:
    if not has_text:
        return "ended"
    try:
        newest = max(path.stat().st_mtime for path in (directory / FILE_NAME, directory / "metrics.jsonl"))
    except OSError:
        newest = 0.0
    return "running" if time.time() - newest < _FRESH_S else "died"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a locked byte cannot be read there, so it is one that nobody reads

    def _try_lock(file: IO[bytes], *, shared: bool = False, strict: bool = False) -> bool:
        """Lock the file until it is closed; False where another process has done so."""
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes], *, shared: bool = False, strict: bool = False) -> bool:
        """Lock the file until it is closed; False where another process has done so.

        Without `strict`, a file system that has no locks counts as one where nobody else has it.
        """
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            if strict:
                raise
        return True
