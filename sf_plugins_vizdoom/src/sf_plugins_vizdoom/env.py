"""One Doom game as a Gymnasium environment.

What comes in: a scenario of the vizdoom package and a discrete action: 0 presses nothing, i holds the i-th button of
the scenario. What leaves: the shrunk screen, the scenario's reward times a scale, `terminated` if the task ended and
`truncated`, never both, if its time was up. This file does not know learning.

The engine is a process of its own. It starts with the first `reset`, without a window or sound, and ends with `close`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import vizdoom

from sf_plugins_vizdoom.screen import Pixels, Shrinker

NARROW = (vizdoom.ScreenResolution.RES_160X120, (120, 160))  # (height, width)
WIDE = (vizdoom.ScreenResolution.RES_256X144, (144, 256))
MAX_SEED = 2**31


class DoomEnv(gymnasium.Env[npt.NDArray[np.uint8], np.int64]):
    """A single-player scenario with one button at a time."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"]}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(
        self,
        config: Path,
        *,
        frame_skip: int = 4,
        size: tuple[int, int] = (72, 128),
        wide: bool = False,
        channels_last: bool = False,
        reward_scale: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        """Read the scenario; the engine is not started yet.

        Args:
            config: the scenario's `.cfg`.
            frame_skip: engine tics (35 per second) per action.
            size: (height, width) of the observation.
            wide: render 256x144 instead of 160x120.
            channels_last: observations `[h, w, 3]` instead of `[3, h, w]`.
            reward_scale: factor on the scenario's reward.
            render_mode: None, "rgb_array" or "human" (the engine's own window).
        """
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": vizdoom.DEFAULT_TICRATE / frame_skip}
        self._frame_skip = frame_skip
        self._reward_scale = reward_scale
        resolution, screen_size = WIDE if wide else NARROW
        self._shrink = Shrinker(screen_size, size, channels_last=channels_last)
        self._screen: Pixels = np.zeros((3, *screen_size), np.uint8)  # the last one that showed the game
        self._game = vizdoom.DoomGame()
        self._game.load_config(str(config))
        self._game.set_mode(vizdoom.Mode.PLAYER)
        self._game.set_screen_resolution(resolution)
        self._game.set_screen_format(vizdoom.ScreenFormat.CRCGCB)  # channels first
        self._game.set_window_visible(render_mode == "human")
        self._game.set_sound_enabled(False)
        num_buttons = self._game.get_available_buttons_size()
        self._presses = [[0.0] * num_buttons, *np.eye(num_buttons).tolist()]
        self._shut_down: weakref.finalize[..., Any] | None = None
        self.action_space = gymnasium.spaces.Discrete(num_buttons + 1)
        self.observation_space = gymnasium.spaces.Box(0, 255, self._shrink.shape, np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        """Start a new episode, and the engine if it does not run; episodes after a seeded one are reproducible too."""
        super().reset(seed=seed)
        self._game.set_seed(int(self.np_random.integers(MAX_SEED)))
        if self._game.is_running():
            self._game.new_episode()
        else:
            self._start()
        self._see()
        return self._shrink(self._screen), {}

    def step(self, action: np.int64) -> tuple[Pixels, float, bool, bool, dict[str, Any]]:
        """Hold a button for `frame_skip` tics, or until the episode ends."""
        reward = self._game.make_action(self._presses[action], self._frame_skip) * self._reward_scale
        over = self._game.is_episode_finished()
        truncated = over and self._game.is_episode_timeout_reached() and not self._game.is_player_dead()
        if not over:  # an ended episode has no screen; the last one stands for it
            self._see()
        return self._shrink(self._screen), reward, over and not truncated, truncated, {}

    def render(self) -> Pixels | None:
        """Return the screen as the engine drew it, [height, width, 3] uint8."""
        return self._screen.transpose(1, 2, 0).copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """End the engine's process; a later `reset` would start another."""
        if self._shut_down is not None:
            self._shut_down()
            self._shut_down = None

    def _see(self) -> None:
        self._screen = self._game.get_state().screen_buffer

    def _start(self) -> None:
        # Every engine writes its settings when it ends. In the working directory, as is its default, engines that
        # start together would read each other's half-written file.
        private = tempfile.mkdtemp(prefix="sf_vizdoom_")
        self._game.set_doom_config_path(str(Path(private) / "vizdoom.ini"))
        # The engine makes this directory if it is missing, and two that do so at once fail.
        with contextlib.suppress(OSError):
            Path("_vizdoom").mkdir(exist_ok=True)
        # Also when the environment is forgotten, and at the end of the interpreter.
        self._shut_down = weakref.finalize(self, _end, self._game, private)
        self._game.init()


def _end(game: vizdoom.DoomGame, private: str) -> None:
    game.close()  # first: the engine still writes into the directory
    shutil.rmtree(private, ignore_errors=True)


def make_doom_env(
    full_env_name: str,
    cfg: Mapping[str, Any],
    env_config: Mapping[str, Any],
    render_mode: str | None = None,
    *,
    scenario: str,
    reward_scale: float,
) -> DoomEnv:
    """Build the environment of a scenario that comes with the vizdoom package."""
    return DoomEnv(
        Path(vizdoom.scenarios_path) / scenario,
        frame_skip=cfg["env_frameskip"],
        size=(cfg["res_h"], cfg["res_w"]),
        wide=cfg["wide_aspect_ratio"],
        channels_last=cfg["pixel_format"] == "HWC",
        reward_scale=reward_scale,
        render_mode=render_mode,
    )
