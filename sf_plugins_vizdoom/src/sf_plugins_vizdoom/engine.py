"""One engine process: its private directory, its start, its end.

What comes in: a configured `DoomGame`. What leaves: an engine that runs, and nothing at all once it is closed. This
file does not know what is played.

Engines that start together do not meet: each has a directory of its own, is started in it, and keeps its settings
there. It ends with `close`, with the object, with the interpreter, or with the process that started it, however that
ended. What a killed process could not clear away, the next engine to start does.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
import weakref
from pathlib import Path
from typing import IO

import vizdoom

if sys.platform != "win32":  # there nothing is cleared away after a killed process
    import fcntl

_PREFIX = "sf_vizdoom_"
_UNLOCKED_PREFIX = "new_sf_vizdoom_"
_SHARED_MEMORY = Path("/dev/shm")
_killed: list[vizdoom.DoomGame] = []  # freeing one whose engine was killed can crash or hang the whole process
_LAUNCHER = Path(__file__).with_name("launch.py")


class Engine:
    """Owns the process behind a `DoomGame`."""

    def __init__(self, game: vizdoom.DoomGame) -> None:
        self._game = game
        self._end: weakref.finalize[..., Engine] | None = None
        self._directory: Path | None = None

    @property
    def is_running(self) -> bool:
        """Whether `start` was called, and `close` was not. A crashed engine counts as running until it is closed."""
        return self._end is not None

    @property
    def pid(self) -> int | None:
        """Of the engine's process; None if there is none, or on Windows."""
        return None if self._directory is None else _pid_in(self._directory)

    def start(self) -> None:
        """Start the process and wait until it plays (in a game of several players: until all have joined)."""
        _clear_remains()
        directory, alive = _make_directory()
        self._game.set_doom_config_path(str(directory / "vizdoom.ini"))
        if os.name == "posix":
            launcher = _write_launcher(directory)
            if os.access(launcher, os.X_OK):  # not where temporary files may not be executed
                self._game.set_vizdoom_path(str(launcher))
        self._directory = directory
        # Also when the environment is forgotten, and at the end of the interpreter.
        self._end = weakref.finalize(self, _end, self._game, directory, alive)
        try:
            self._game.init()
        except BaseException:
            self.close(at_once=True)
            raise

    def kill(self) -> None:
        """End the process without a word, so that whoever waits for it stops waiting."""
        pid = self.pid
        if pid is not None:
            _killed.append(self._game)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def abandon(self) -> None:
        """End the process and remove its traces behind the back of the vizdoom package.

        From any thread, whatever the package is doing. This process must leave without another word to it
        (`os._exit`).
        """
        if self._end is None or self._directory is None or self.pid is None:
            return  # one that is just starting ends with this process, and the next engine removes its traces
        self.kill()
        self._end.detach()
        _remove_traces(self._directory)

    def close(self, *, at_once: bool = False) -> None:
        """End the process; a second call does nothing.

        Args:
            at_once: do not let it finish. In a game of several players it might wait for the others.
        """
        if self._end is None:
            return
        if at_once:
            self.kill()
        self._end()
        self._end = self._directory = None


def _end(game: vizdoom.DoomGame, directory: Path, alive: IO[bytes] | None) -> None:
    game.close()  # first: the engine still writes into the directory
    _remove_traces(directory)
    if alive is not None:
        alive.close()


def _remove_traces(directory: Path) -> None:
    _remove_shared_memory(directory)
    shutil.rmtree(directory, ignore_errors=True)


def _write_launcher(directory: Path) -> Path:
    engine = Path(vizdoom.__file__).with_name("vizdoom")
    command = [str(engine)]
    if sys.platform == "linux":
        command = [sys.executable, "-IS", str(_LAUNCHER), *command]
    launcher = directory / "vizdoom"
    launcher.write_text(
        "#!/bin/sh\n"
        "trap '' INT TERM\n"  # what reaches all processes of a terminal or a batch job is for the process that plays
        f"cd {shlex.quote(str(directory))}\n"  # the engine makes a directory where it is started
        "echo $$ > pid\n"
        'echo "$@" > arguments\n'
        f'exec {shlex.join(command)} "$@" > output 2>&1\n'
    )
    launcher.chmod(0o700)
    return launcher


def _pid_in(directory: Path) -> int | None:
    try:
        return int((directory / "pid").read_text())
    except (OSError, ValueError):
        return None


def _make_directory() -> tuple[Path, IO[bytes] | None]:
    """A directory, and a lock that is held for as long as this process lives and tells others that it is in use."""
    if sys.platform == "win32":
        return Path(tempfile.mkdtemp(prefix=_PREFIX)), None
    unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED_PREFIX))
    file = (unlocked / "alive").open("wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    # Only now: under this name an engine that starts at the same time may clear it away.
    return unlocked.rename(unlocked.with_name(unlocked.name.replace(_UNLOCKED_PREFIX, _PREFIX, 1))), file


def _clear_remains() -> None:
    """Remove what engines left behind whose process was killed."""
    if sys.platform == "win32":
        return
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (directory / "alive").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError while its owner lives
            _remove_traces(directory)


def _remove_shared_memory(directory: Path) -> None:
    """The engine's name is in its arguments, and in the names of its shared memory."""
    try:
        arguments = (directory / "arguments").read_text().split()
        instance = arguments[arguments.index("+viz_instance_id") + 1]
    except (OSError, ValueError, IndexError):
        return
    for file in _SHARED_MEMORY.glob(f"ViZDoom*{instance}"):
        file.unlink(missing_ok=True)
