"""What `ps` calls this process, and what ended another one."""

from __future__ import annotations

import signal


def set_title(title: str) -> None:
    """Have `ps` show this process as `title`."""
    try:
        from setproctitle import setproctitle
    except ImportError:  # a nicety
        return
    setproctitle(title)


def signal_of(exit_code: int | None) -> str:
    """The signal that killed a process, by its exit code: `SIGKILL`; empty if none did."""
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
