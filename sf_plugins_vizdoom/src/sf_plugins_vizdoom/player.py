"""One player: the engine that shows the game to it, its buttons, its variables.

What comes in: a task, what to render, actions. What leaves: screens, rewards, variables. This file does not know
shaping, observations or Gymnasium.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import vizdoom

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.engine import Engine
from sf_plugins_vizdoom.screen import Pixels
from sf_plugins_vizdoom.tasks import Task

NARROW, WIDE = "160x120", "256x144"
LONGEST_DEMO_PATH = 101  # characters that the engine takes
COUNTED_FOREVER = ("DEATHCOUNT", "HITCOUNT", "DAMAGECOUNT")  # the engine does not start them anew with an episode


class Player:
    """One side of a game. The engine starts with the first episode."""

    def __init__(
        self, task: Task, wad: Path, buttons: Sequence[str], *, resolution: str = NARROW, window: bool = False
    ) -> None:
        """Configure the engine, without starting it.

        Args:
            task: what is played.
            wad: its map's file.
            buttons: in the order in which `play` takes their values.
            resolution: what the engine draws, `"160x120"`.
            window: show it on a display.
        """
        self.window = window
        self.game = game = vizdoom.DoomGame()
        self.engine = Engine(game)
        game.set_doom_scenario_path(str(wad))
        game.set_doom_skill(task.skill)
        game.set_episode_timeout(task.timeout)
        game.set_episode_start_time(task.start_time)
        game.set_living_reward(task.living_reward)
        game.set_death_penalty(task.death_penalty)
        game.set_render_hud(task.hud)
        game.set_render_crosshair(task.crosshair)
        game.set_render_weapon(task.weapon)
        game.set_render_decals(False)
        game.set_render_particles(False)
        if task.game_args:
            game.add_game_args(task.game_args)
        self._variables = task.variables
        game.set_available_buttons([getattr(vizdoom.Button, name) for name in buttons])
        game.set_available_game_variables([getattr(vizdoom.GameVariable, name) for name in task.variables])
        self._show(resolution)

    @classmethod
    def from_config(
        cls,
        config: Path,
        buttons: Sequence[str] = (),
        *,
        timeout: int = 0,
        resolution: str = NARROW,
        window: bool = False,
    ) -> Player:
        """A player of a scenario's own `.cfg`, which says everything but what is rendered and how.

        Args:
            config: the file.
            buttons: in the order in which `play` takes their values; none is the file's own.
            timeout: tics after which the episode is truncated; 0 is what the file says.
            resolution: what the engine draws, `"160x120"`.
            window: show it on a display.
        """
        player = cls.__new__(cls)
        player.window = window
        player.game = vizdoom.DoomGame()
        player.engine = Engine(player.game)
        player.game.load_config(str(config))
        if buttons:
            player.game.set_available_buttons([getattr(vizdoom.Button, name) for name in buttons])
        if timeout:
            player.game.set_episode_timeout(timeout)
        player._variables = tuple(variable.name for variable in player.game.get_available_game_variables())
        player._show(resolution)
        return player

    def _show(self, resolution: str) -> None:
        game = self.game
        try:
            game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{resolution.upper()}"))
        except AttributeError:
            known = ", ".join(name.removeprefix("RES_").lower() for name in vizdoom.ScreenResolution.__members__)
            raise UsageError(f"--doom_resolution={resolution} is none of the engine's: {known}") from None
        game.set_screen_format(vizdoom.ScreenFormat.CRCGCB)  # channels first
        game.set_window_visible(self.window)
        game.set_sound_enabled(False)
        game.set_mode(vizdoom.Mode.PLAYER)
        width, height = resolution.lower().split("x")
        self.screen: Pixels = np.zeros((3, int(height), int(width)), np.uint8)  # the last one that showed the game
        self.variables: dict[str, float] = dict.fromkeys(self._variables, 0.0)
        self._counted_before: dict[str, float] = {}

    @property
    def buttons(self) -> tuple[str, ...]:
        """The engine's names."""
        return tuple(button.name for button in self.game.get_available_buttons())

    def join(self, arguments: str, seed: int) -> int:
        """Start the engine for a game of several players, and wait until all are there.

        Args:
            arguments: for the engine: who hosts, and where.
            seed: of the first episode.

        Returns:
            which player of the game this one has become; the host is 0, the others count as they came.
        """
        self.game.add_game_args(arguments)
        self.game.set_seed(seed)
        self.engine.start()
        return int(self.game.get_game_variable(vizdoom.GameVariable.PLAYER_NUMBER))

    def commands(self, lines: Iterable[str]) -> None:
        """Type into the console of the game."""
        for line in lines:
            self.game.send_game_command(line)

    def new_episode(self, seed: int, demo: Path | None = None) -> None:
        """Start an episode, and the engine if it does not run.

        Args:
            seed: of the episode.
            demo: where to record it.
        """
        self.game.set_seed(seed)
        if not self.engine.is_running:
            self.engine.start()
        self.game.new_episode("" if demo is None else str(demo))
        self._counted_before = {}
        self.see()
        self._counted_before = {name: self.variables[name] for name in COUNTED_FOREVER if name in self.variables}
        self.variables |= dict.fromkeys(self._counted_before, 0.0)

    def play(self, values: Sequence[float], tics: int, look: bool = True) -> float:
        """Hold buttons and turn for some tics, at most to the end of the episode.

        Args:
            values: of `buttons`.
            tics: of 1/35 s.
            look: take in what the game shows then; without, nothing is drawn. When time is up it is done anyway.

        Returns:
            the reward.
        """
        look = look or self._runs_out_within(tics)
        self.game.set_action(list(values))
        self.game.advance_action(tics, look)
        if look:
            self.see()
        return float(self.game.get_last_reward())

    def see(self) -> None:
        """Take in the screen and the variables; an episode that is over has no screen, and the last one stays."""
        state: Any = self.game.get_state()  # its declared type leaves out None
        if state is None:
            values = [self.game.get_game_variable(getattr(vizdoom.GameVariable, name)) for name in self._variables]
        else:
            self.screen = state.screen_buffer
            values = [] if state.game_variables is None else state.game_variables.tolist()
        self.variables = dict(zip(self._variables, values, strict=True))
        for name, before in self._counted_before.items():
            self.variables[name] -= before
        if "HEALTH" in self.variables:  # who is crushed at a starting point is left with -999,900
            self.variables["HEALTH"] = max(self.variables["HEALTH"], 0.0)

    def _runs_out_within(self, tics: int) -> bool:
        limit = self.game.get_episode_timeout()
        return bool(limit and self.game.get_episode_time() + tics >= self.game.get_episode_start_time() + limit)

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.game.is_episode_finished())

    @property
    def is_timed_out(self) -> bool:
        """Whether the episode was ended by its time alone; who is dead in a game of several is only waiting."""
        died = self.game.is_player_dead() and not self.game.is_multiplayer_game()
        return bool(self.game.is_episode_timeout_reached() and not died)


def demo_path(directory: Path, index: int) -> Path:
    """Where episode number `index` is recorded.

    Raises:
        UsageError: the path is longer than the engine takes.
    """
    path = directory.absolute() / f"e{index:03}.lmp"
    if len(str(path)) > LONGEST_DEMO_PATH:
        raise UsageError(
            f"--record_to={directory}: the engine takes paths of at most {LONGEST_DEMO_PATH} characters, and this one "
            f"makes {len(str(path))}; choose a shorter one"
        )
    return path


def next_demo_index(directory: Path) -> int:
    """The first number that no recording has yet."""
    taken = [int(path.stem[1:]) for path in directory.glob("e*.lmp") if path.stem[1:].isdigit()]
    return max(taken, default=-1) + 1
