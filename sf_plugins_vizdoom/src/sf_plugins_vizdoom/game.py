"""What is played and how: everything that is chosen before an engine starts.

What comes in: the configuration of a run. What leaves: `Game`, which makes players, and the arguments of their
engines. This file does not know observations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom import network, scenarios
from sf_plugins_vizdoom.actions import Controls, heads_for
from sf_plugins_vizdoom.agent import View
from sf_plugins_vizdoom.player import NARROW, WIDE, Player
from sf_plugins_vizdoom.tasks import TASKS, TICS_PER_MINUTE, Task


@dataclass(frozen=True, kw_only=True)
class Game:
    """One environment's settings.

    Attributes:
        task: what is played.
        file: its map, or the `.cfg` of a custom scenario.
        controls: the action space.
        view: what is seen of the screen.
        frame_skip: tics (35 a second) per action.
        bot_difficulty: 0 to 100; None for the engine's own bots.
        record_to: directory for demos; None for no recording.
    """

    task: Task
    file: Path
    controls: Controls
    view: View
    frame_skip: int = 4
    bot_difficulty: int | None = None
    record_to: Path | None = None

    def player(self, window: bool = False) -> Player:
        """A player whose engine has not started."""
        return self.player_maker(window)()

    def player_maker(self, window: bool = False) -> Callable[[], Player]:
        """What makes such players, and can be sent to another process."""
        shown: dict[str, Any] = {"resolution": self.view.resolution, "window": window}
        if self.file.suffix == ".cfg":
            return partial(Player.from_config, self.file, self.controls.buttons, timeout=self.task.timeout, **shown)
        return partial(Player, self.task, self.file, self.controls.buttons, **shown)


def game_from(cfg: Mapping[str, Any], name: str) -> Game:
    """The settings of one of `TASKS`.

    Raises:
        UsageError: the map is not here; an option that does not fit.
    """
    task = _adapted(TASKS[name], cfg)
    file = scenarios.find(task.wad, cfg.get("doom_scenarios_dir"))
    if file is None:
        looked = ", ".join(str(place) for place in scenarios.search_path(cfg.get("doom_scenarios_dir")))
        remedy = f"`{scenarios.FETCH_COMMAND}` gets it" if task.wad in scenarios.SHA256 else "pip install vizdoom"
        raise UsageError(f"{name} needs {task.wad}, which is not in {looked}; {remedy}")
    return _game(cfg, task, file, Controls(task.heads))


def custom_game_from(cfg: Mapping[str, Any], config: str) -> Game:
    """The settings of any scenario, from its own `.cfg`, which may also be one of the vizdoom package.

    Raises:
        UsageError: there is no such file; it names no buttons, or a map that is not there.
    """
    path = Path(config).expanduser()
    file = path.resolve() if path.is_file() else scenarios.find(config, cfg.get("doom_scenarios_dir"))
    if file is None or file.suffix != ".cfg":
        shipped = scenarios.shipped_dir()
        raise UsageError(f"doom:{config}: there is no such .cfg file, neither here nor in {shipped}")
    try:
        player = Player.from_config(file)
    except Exception as error:  # the engine's package has one type for each of many mistakes
        raise UsageError(f"doom:{config} cannot be read: {' '.join(str(error).split())}") from error
    heads = heads_for(player.buttons, cfg["doom_actions"])
    variables = tuple(player.variables)
    with_variables = bool(cfg["doom_measurements"]) and bool(variables)
    task = Task(wad="", heads=heads, variables=variables, measurements="variables" if with_variables else "")
    return _game(cfg, _adapted(task, cfg), file, Controls(heads))


def _game(cfg: Mapping[str, Any], task: Task, file: Path, controls: Controls) -> Game:
    difficulty = cfg.get("bot_difficulty")
    if difficulty is not None and not 0 <= difficulty <= 100:
        raise UsageError(f"--bot_difficulty={difficulty}: choose 0 (helpless) to 100")
    for option in ("res_w", "res_h"):
        if cfg[option] < 1:
            raise UsageError(f"--{option}={cfg[option]}: an observation has at least one pixel; use 128 by 72")
    view = View(
        resolution=cfg.get("doom_resolution") or (WIDE if cfg["wide_aspect_ratio"] else NARROW),
        size=(cfg["res_h"], cfg["res_w"]),
        channels_last=cfg["pixel_format"] == "HWC",
    )
    record_to = Path(cfg["record_to"]).expanduser() if cfg.get("record_to") else None
    if record_to is not None and task.is_multiplayer:
        raise UsageError(
            "--record_to: the engine cannot record and replay games of several players; `sf-enjoy --save_video` makes "
            "a video of one"
        )
    return Game(
        task=task,
        file=file,
        controls=controls,
        view=view,
        frame_skip=cfg["env_frameskip"],
        bot_difficulty=difficulty,
        record_to=record_to,
    )


def _adapted(task: Task, cfg: Mapping[str, Any]) -> Task:
    if cfg.get("num_humans"):
        raise UsageError(
            f"--num_humans={cfg['num_humans']}: people cannot play along; leave the flag out, and watch the "
            "agents with sf-enjoy"
        )
    chosen = cfg.get("doom_scenarios_dir")
    if chosen and not Path(chosen).expanduser().is_dir():  # else a map of the same name would be played from elsewhere
        raise UsageError(f"--doom_scenarios_dir={chosen} is no directory; give one that has the maps")
    changes: dict[str, Any] = {}
    for option in ("num_agents", "num_bots"):
        if cfg.get(option) is not None and cfg[option] >= 0:
            changes[option] = cfg[option]
    if cfg.get("timelimit") is not None:
        if not 0 < cfg["timelimit"] < math.inf:
            raise UsageError(f"--timelimit={cfg['timelimit']}: give minutes, more than 0")
        changes["timeout"] = max(1, round(cfg["timelimit"] * TICS_PER_MINUTE))
    task = dataclasses.replace(task, **changes)
    if task.num_agents < 1 or task.num_agents + task.num_bots > network.MAX_PLAYERS:
        raise UsageError(
            f"--num_agents={task.num_agents} --num_bots={task.num_bots}: a game has at least one agent and at most "
            f"{network.MAX_PLAYERS} players"
        )
    return task
