"""A player in a process of its own, so that a game of several survives the death of any engine.

The engines of a game wait for each other, and the vizdoom package can hang or crash once one of them is gone; here it
does so in a process that is thrown away.

What comes in: how to make a `Player`, and calls of its methods. What leaves: their results, and what the player saw
after each. Both ends are here: the environment has `RemotePlayer`; `main` is the program of the small process, which
imports neither torch nor Gymnasium. It ends with its pipe: when the environment closes it or is killed, a thread that
only listens kills the engine, removes its traces and leaves at once, whatever the vizdoom package is doing.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe, connection, spawn
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NoReturn

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.player import Player
from sf_plugins_vizdoom.screen import Pixels

LONGEST_END_S = 5.0  # for a process to remove its traces; after that it is killed
_PROGRAM = "import sys; sys.path[:] = {path!r}; from sf_plugins_vizdoom.remote_player import main; main({descriptor})"
_leaving = threading.Lock()  # for whoever comes first; it is never given back


class PlayerLost(RuntimeError):  # noqa: N818 - it says what is the matter
    """The engine of a player, or its process, died or hangs; the game is over for all."""


@dataclass(frozen=True)
class Answer:
    """To one call: what it returned, and what the player saw last.

    Attributes:
        result: of the method.
        screen: `[3, height, width]` uint8; None if it is still that of the answer before.
        variables: by the engine's names.
        is_over: whether the episode has ended.
        is_timed_out: whether its time alone has ended it.
        engine_pid: of the engine's process.
    """

    result: Any
    screen: Pixels | None
    variables: dict[str, float]
    is_over: bool
    is_timed_out: bool
    engine_pid: int | None


class RemotePlayer:
    """The environment's side. Has what an `Agent` asks of a player, as of the last answer.

    Attributes:
        screen, variables, is_over, is_timed_out: as those of `Player`.
        engine_pid: of the engine's process; None before the first answer.
    """

    def __init__(self, make_player: Callable[[], Player]) -> None:
        """Start no process yet.

        Args:
            make_player: is pickled and called in the process.

        Raises:
            UsageError: it cannot be made; this system has no such processes.
        """
        if os.name != "posix":
            raise UsageError("games of several agents need Linux or macOS; --num_agents=1 plays with bots anywhere")
        self._make_player = make_player
        looked_at = make_player()  # its engine is never started
        self.screen = looked_at.screen
        self.variables = looked_at.variables
        self.is_over = self.is_timed_out = False
        self.engine_pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the player's process; None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; what is called from now on waits until it is there."""
        self._pipe, theirs = Pipe()
        program = _PROGRAM.format(path=sys.path, descriptor=theirs.fileno())
        command = [os.fsdecode(spawn.get_executable() or sys.executable), "-c", program]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._pipe.send_bytes(pickle.dumps(self._make_player))

    def close(self) -> None:
        """End the process; `wait_for_end` waits for it."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def wait_for_end(self) -> None:
        """Until the process has ended, which may be killed for it."""
        if self._process is None:
            return
        try:
            self._process.wait(LONGEST_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = self.engine_pid = None

    def _call(self, method: str, arguments: Sequence[Any]) -> None:
        if self._pipe is None:
            raise PlayerLost("no game is running; `reset` starts one")
        with contextlib.suppress(OSError):  # it is gone; the answer says so
            self._pipe.send((method, arguments))

    def _take_answer(self) -> Any:
        assert self._pipe is not None
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise PlayerLost(f"the process {self.pid} of a player died") from None
        if isinstance(answer, str):
            raise PlayerLost(answer)
        if answer.screen is not None:
            self.screen = answer.screen
        self.variables = answer.variables
        self.is_over, self.is_timed_out = answer.is_over, answer.is_timed_out
        self.engine_pid = answer.engine_pid
        return answer.result


def call_all(
    players: Sequence[RemotePlayer], method: str, arguments: Sequence[Sequence[Any]], longest_s: float
) -> list[Any]:
    """Call a method of all players at once.

    Args:
        players: of one game.
        method: of `Player`.
        arguments: of each.
        longest_s: seconds until they hang.

    Returns:
        what each returned.

    Raises:
        PlayerLost: one died, or did not answer; the others may be waiting for it and must be closed.
    """
    for player, own in zip(players, arguments, strict=True):
        player._call(method, own)
    results: list[Any] = [None] * len(players)
    waiting: dict[Any, int] = {player._pipe: index for index, player in enumerate(players)}
    until_s = time.monotonic() + longest_s
    while waiting:
        ready = connection.wait(list(waiting), until_s - time.monotonic())
        if not ready:
            raise PlayerLost(f"{method}: {len(waiting)} of {len(players)} engines did not answer for {longest_s:.0f} s")
        for pipe in ready:
            index = waiting.pop(pipe)
            results[index] = players[index]._take_answer()
    return results


def main(descriptor: int) -> None:
    """The program of the process: make the player, do what is called, until the pipe ends."""
    # What reaches all processes of a terminal or a batch job is for the process that plays to understand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe = Connection(descriptor)
    try:
        make_player: Callable[[], Player] = pickle.loads(pipe.recv_bytes())
    except EOFError:
        return
    player = make_player()
    calls: SimpleQueue[tuple[str, Sequence[Any]]] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls, player), daemon=True).start()
    sent = None
    while True:
        method, arguments = calls.get()
        try:
            result = getattr(player, method)(*arguments)
            answer = Answer(
                result,
                None if player.screen is sent else player.screen,
                player.variables,
                player.is_over,
                player.is_timed_out,
                player.engine.pid,
            )
        except Exception as error:
            _answer(pipe, f"the engine of a player died: {type(error).__name__}: {error}")
            _leave(player)
        _answer(pipe, answer)
        sent = player.screen


def _answer(pipe: Connection, answer: Answer | str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to read it; the listener ends the process
        pipe.send(answer)


def _listen(pipe: Connection, calls: SimpleQueue[tuple[str, Sequence[Any]]], player: Player) -> None:
    while True:
        try:
            calls.put(pipe.recv())
        except (EOFError, OSError):
            _leave(player)


def _leave(player: Player) -> NoReturn:
    _leaving.acquire()
    player.engine.abandon()
    os._exit(0)
