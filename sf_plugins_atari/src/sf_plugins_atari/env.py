"""One game as a plain Gymnasium environment: the same play and frames as the native vector, and it can draw itself.

What comes in: `AtariSettings` and an int action. What leaves: a step of Gymnasium with `info["life_lost"]`. It is used
where the native vector cannot be: to watch or film an agent, and under environment wrappers. A Python step per frame
makes it slower. This file does not know clipping, learning or advantages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ale_py
import gymnasium
import numpy as np
import numpy.typing as npt
from ale_py import roms

from sf_plugins_atari.preprocessing import FrameStack
from sf_plugins_atari.settings import AtariSettings, settings_from

FRAMES_PER_SECOND = 60
MAX_SEED = np.iinfo(np.int32).max


class AtariEnv(gymnasium.Env[npt.NDArray[np.uint8], np.int64]):
    """A full, un-clipped game; `terminated` is the end of the game, a lost life is `info["life_lost"]`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"]}  # noqa: RUF012  # the base class's declaration

    def __init__(self, settings: AtariSettings, render_mode: str | None = None) -> None:
        """Load the game.

        Args:
            settings: how the game is played and seen.
            render_mode: None, "rgb_array" (frames in colour) or "human" (the emulator's own window).
        """
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.settings = settings
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": FRAMES_PER_SECOND / settings.frame_skip}
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", settings.sticky_actions)
        if render_mode == "human":
            self._ale.setBool("display_screen", True)
            self._ale.setBool("sound", True)
        self._load(seed=None)
        actions = self._ale.getLegalActionSet() if settings.full_action_set else self._ale.getMinimalActionSet()
        self._actions = list(actions)
        self._presses_fire = settings.fire_reset and ale_py.Action.FIRE in self._actions
        self._stack = FrameStack(self._ale.getScreenDims(), (settings.height, settings.width), settings.frame_stack)
        self._colour: list[npt.NDArray[np.uint8]] = []  # the last two screens, when rendering
        self._lives = 0
        self._num_frames = 0
        self.action_space = gymnasium.spaces.Discrete(len(self._actions))
        shape = (settings.frame_stack, settings.height, settings.width)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start a new game: FIRE if the game has it, then up to `noop_max` - 1 frames of nothing in all."""
        super().reset(seed=seed)
        if seed is not None:
            self._load(seed=seed % MAX_SEED)
        self._ale.reset_game()
        if self._presses_fire:
            self._ale.act(ale_py.Action.FIRE)
        wait = int(self.np_random.integers(max(1, self.settings.noop_max))) - int(self._presses_fire)
        for _ in range(wait):
            self._ale.act(ale_py.Action.NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
        self._stack.restart(self._ale.getScreenGrayscale())
        self._colour = [self._ale.getScreenRGB()] if self.render_mode == "rgb_array" else []
        self._lives = self._ale.lives()
        self._num_frames = 0
        return self._stack.observation(), self._info(life_lost=False)

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Repeat one action for `frame_skip` frames, or until the game ends or the time is up."""
        reward = 0
        terminated = out_of_time = False
        for frames_left in reversed(range(self.settings.frame_skip)):
            reward += self._ale.act(self._actions[action])
            self._num_frames += 1
            terminated = self._ale.game_over()
            out_of_time = self._num_frames >= self.settings.max_frames
            if terminated or out_of_time:
                break
            if frames_left < 2:
                self._stack.see(self._ale.getScreenGrayscale(), last=frames_left == 0)
                if self.render_mode == "rgb_array":
                    self._colour = [*self._colour[-1:], self._ale.getScreenRGB()]
        self._stack.push()
        truncated = out_of_time and not terminated
        lives = self._ale.lives()
        life_lost = 0 < lives < self._lives and not terminated
        self._lives = lives
        return self._stack.observation(), float(reward), terminated, truncated, self._info(life_lost=life_lost)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return the screen in colour, [210, 160, 3] uint8, pooled over two frames so that nothing flickers away."""
        if self.render_mode != "rgb_array" or not self._colour:
            return None
        return np.maximum(self._colour[0], self._colour[-1])

    def _load(self, *, seed: int | None) -> None:
        if seed is not None:
            self._ale.setInt("random_seed", seed)
        path = roms.get_rom_path(self.settings.rom)
        if path is None:
            raise ValueError(f"ale-py has no ROM named {self.settings.rom!r}")
        self._ale.loadROM(path)

    def _info(self, *, life_lost: bool) -> dict[str, Any]:
        return {
            "life_lost": life_lost,
            "lives": self._lives,
            "episode_frame_number": self._ale.getEpisodeFrameNumber(),
        }


def make_atari_env(
    full_env_name: str,
    cfg: Mapping[str, Any],
    env_config: Mapping[str, Any],
    render_mode: str | None = None,
    *,
    rom: str,
    max_frames: int,
) -> AtariEnv:
    """Build one game that can render."""
    return AtariEnv(settings_from(cfg, rom=rom, max_frames=max_frames), render_mode)
