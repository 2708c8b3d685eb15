"""`sf-watchdog`: ends what the processes of a run have started themselves, when nobody else can.

A simulator may be a program of its own, started by its env. It is a child of a rollout worker, not of the runner, and
outlives a worker that is killed. So every process of a run leads a process group; when the process ends, the runner
ends what is left of its group; and when the runner itself is killed, this program does. It is run as a script, without
anything of `sf_core`, and hears of process groups on its standard input, whose end is the end of the runner.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from multiprocessing import spawn


class Watchdog:
    """The runner's side."""

    def __init__(self) -> None:
        # -I: the script's own folder must not hide modules of the standard library
        command = [os.fsdecode(spawn.get_executable() or sys.executable), "-I", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)

    def watch(self, pid: int) -> None:
        """This process leads a group that has to end with the run."""
        self._say(f"+{pid}\n")

    def ended(self, pid: int) -> None:
        """This process is gone: end what it has left."""
        end_group(pid)
        self._say(f"-{pid}\n")

    def close(self) -> None:
        """The run is over."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # somebody killed it; the run goes on without
            self._process.stdin.write(line.encode())


def lead_group() -> None:
    """To be called by every process of a run: what it starts belongs to it."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpgid(0, 0)


def end_group(pid: int) -> None:
    """Kill what is left of the group that `pid` led."""
    with contextlib.suppress(OSError):  # nothing is left
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """The program: wait for the end of the runner."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the runner decides what they mean
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle("sf-watchdog")
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (groups.add if line.startswith("+") else groups.discard)(pid)
    for pid in groups:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)  # it may just have been started, and lead no group yet
        end_group(pid)


if __name__ == "__main__":
    main()
