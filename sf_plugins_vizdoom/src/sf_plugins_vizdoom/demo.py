"""Play recorded demos again: into a video without a display, or in a window in real time.

    sf-enjoy --experiment=NAME --no_render --max_num_episodes=3 --record_to=demos
    python -m sf_plugins_vizdoom.demo doom_basic demos/e000.lmp --video=e000.mp4
    python -m sf_plugins_vizdoom.demo doom_basic demos/e000.lmp --watch

A demo holds what was pressed, not what was seen, so it can be drawn in any resolution. It needs the same map.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import vizdoom

from sf_core.eval.video import VideoWriter
from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.game import Game, custom_game_from, game_from
from sf_plugins_vizdoom.screen import Pixels
from sf_plugins_vizdoom.tasks import TASKS, TICS_PER_SECOND

SETTINGS = {
    "env_frameskip": 1,
    "res_w": 128,
    "res_h": 72,
    "wide_aspect_ratio": False,
    "pixel_format": "CHW",
    "doom_actions": "tuple",
    "doom_measurements": False,
}


def replay(game: Game, demo: Path, *, window: bool = False, player_index: int = 0) -> Iterator[Pixels]:
    """Every tic's screen, `[height, width, 3]` uint8.

    Args:
        game: the settings it is drawn with; its task must be that of the recording.
        demo: the `.lmp` file.
        window: show the engine's own window.
        player_index: whose eyes, in a recording of several players.

    Raises:
        UsageError: there is no such recording, or the engine cannot play it.
    """
    if not demo.is_file():
        raise UsageError(f"there is no recording {demo}")
    player = game.player(window)
    try:
        player.engine.start()
        try:
            player.game.replay_episode(str(demo.resolve()), player_index)
        except (vizdoom.ViZDoomErrorException, vizdoom.ViZDoomUnexpectedExitException) as error:
            raise UsageError(f"{demo} is no recording that the engine can play: {str(error).strip()}") from error
        while not player.is_over:
            player.see()
            yield player.screen.transpose(1, 2, 0)
            player.game.advance_action()
    finally:
        player.engine.close()


def main(arguments: Sequence[str]) -> int:
    """What the command line does; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sf_plugins_vizdoom.demo", description=__doc__.split("\n")[0])
    parser.add_argument("env", help="the environment that was recorded: doom_basic, or doom:path/to/scenario.cfg")
    parser.add_argument("demo", type=Path, help="the .lmp file")
    parser.add_argument("--video", type=Path, help="file to write, .mp4 or .gif")
    parser.add_argument("--watch", action="store_true", help="show a window, in real time")
    parser.add_argument("--resolution", default="640x480", help="what the engine draws (640x480)")
    parser.add_argument("--player", type=int, default=0, help="whose eyes, in a game of several players")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.watch and sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
            raise UsageError("there is no display for a window; --video=FILE.mp4 makes a video instead of --watch")
        settings = {**SETTINGS, "doom_resolution": chosen.resolution}
        if chosen.env.startswith("doom:"):
            game = custom_game_from(settings, chosen.env.partition(":")[2])
        elif chosen.env in TASKS:
            game = game_from(settings, chosen.env)
        else:
            raise UsageError(f"no environment is called {chosen.env}; `sf-list envs doom` names them")
        _show(replay(game, chosen.demo, window=chosen.watch, player_index=chosen.player), chosen.video, chosen.watch)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _show(frames: Iterator[Pixels], video: Path | None, in_real_time: bool) -> None:
    count, next_frame_s = 0, time.monotonic()
    writer = VideoWriter(video, TICS_PER_SECOND) if video is not None else None
    try:
        for frame in frames:
            count += 1
            if writer is not None:
                writer.write(frame)
            if in_real_time:
                next_frame_s += 1 / TICS_PER_SECOND
                time.sleep(max(0.0, next_frame_s - time.monotonic()))
    finally:
        if writer is not None:
            writer.close()
    written = f", written to {writer.path}" if writer is not None else ""
    print(f"{count} tics, {count / TICS_PER_SECOND:.1f} s of game time{written}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
