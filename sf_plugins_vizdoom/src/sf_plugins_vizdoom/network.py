"""What the engine is told about a game of several players: who hosts, where, which bots, which rules.

What comes in: a task. What leaves: arguments of the engines, a port that nobody else takes, bots. This file does not
know what the players see.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.tasks import Task

ADDRESS = "127.0.0.1"
MAX_PLAYERS = 16  # of the engine, bots included
LONGEST_WAIT_S = 30  # for all players to join
RULES = (
    "-deathmatch +sv_forcerespawn 1 +sv_noautoaim 1 +sv_respawnprotect 1 +sv_spawnfarthest 1 +sv_nocrouch 1 "
    "+sv_nojump 1 +sv_nofreelook 1 +sv_noexit 1"
)


class Port:
    """A UDP port for one game, held until `release`.

    The engine must open the UDP port itself, so it cannot be kept open here. The TCP port of the same number is kept
    instead: two games of this plugin, in whatever processes, never get the same number, and the operating system gives
    it back when its process dies. Should another program take the UDP port in between, the engine says so when it
    starts, and another one is tried.
    """

    def __init__(self) -> None:
        while True:
            self._token = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._token.bind((ADDRESS, 0))
            self.number: int = self._token.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("", self.number))  # as the engine will
                except OSError:
                    self._token.close()
                    continue
            return

    def release(self) -> None:
        """Give the number back."""
        self._token.close()


class Lobby:
    """One game that players can join: its port, its bots."""

    def __init__(self, task: Task, bot_difficulty: int | None = None) -> None:
        """Reserve what the game needs.

        Args:
            task: says how many players and bots, and how long the dead wait.
            bot_difficulty: 0 to 100; None for the engine's own bots.

        Raises:
            UsageError: the bots cannot be described to the engine.
        """
        self._task = task
        self._port = Port()
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._bots: Sequence[str] = [""] * task.num_bots  # "" is any of the engine's own
        self._bots_file = ""
        if bot_difficulty is not None and task.num_bots:
            if any(character.isspace() for character in tempfile.gettempdir()):  # there would silently be no bots
                self._port.release()
                raise UsageError(
                    f"--bot_difficulty: the engine takes no path with a space, as {tempfile.gettempdir()!r}; set TMPDIR"
                )
            self._directory = tempfile.TemporaryDirectory(prefix="sf_vizdoom_bots_")
            path = Path(self._directory.name) / "bots.cfg"
            self._bots = write_bots(path, bot_difficulty, task.num_bots)
            self._bots_file = str(path)

    def arguments(self, index: int) -> str:
        """For one of the engines; number 0 hosts, and with nobody else in the game waits for nobody."""
        port = self._port.number
        # All look alike: the engine numbers them as they come, and a colour of one's own would make that visible.
        waiting = f"-port {port} +viz_connect_timeout {LONGEST_WAIT_S} +name AI"
        if index > 0:
            return f"-join {ADDRESS} {waiting}"
        bots = f" +viz_bots_path {self._bots_file}" if self._bots_file else ""
        delay = f"+viz_respawn_delay {self._task.respawn_delay}"
        return f"-host {self._task.num_agents} {RULES} {delay} {waiting}{bots}"

    def bot_commands(self) -> list[str]:
        """What brings the bots into a new episode, for the console of the hosting player's game."""
        return ["removebots", *(f"addbot {name}".strip() for name in self._bots)] if self._bots else []

    def close(self) -> None:
        """Give back the port."""
        self._port.release()
        if self._directory is not None:
            self._directory.cleanup()


def write_bots(path: Path, difficulty: int, count: int) -> Sequence[str]:
    """Describe bots of one difficulty in the engine's format.

    Args:
        path: the file to write.
        difficulty: 0 to 100: how well they aim, keep to their plan, react and notice.
        count: how many.

    Returns:
        their names.
    """
    names = [f"Bot{index}" for index in range(count)]
    abilities = "\n".join(f"    {ability} {difficulty}" for ability in ("aiming", "perfection", "reaction", "isp"))
    path.write_text(
        "".join(f'{{\n    name {name}\n{abilities}\n    color "40 cf 00"\n    skin base\n}}\n\n' for name in names)
    )
    return names
