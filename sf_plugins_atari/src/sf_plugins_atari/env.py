"""One game as a plain Gymnasium environment: the same play and frames as the native vector, and it can draw itself.

What comes in: `AtariSettings` and an int action. What leaves: a step of Gymnasium with what a `GameRecord` says. It is
used where the native vector cannot be: to watch or film an agent, and under environment wrappers. A Python step per
frame makes it slower. This file does not know clipping, learning or advantages.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
import numpy.typing as npt

from sf_plugins_atari.game_record import EPISODE_EXTRA_STATS, LIFE_LOST, GameRecord
from sf_plugins_atari.preprocessing import FrameStack, Screen
from sf_plugins_atari.roms import rom_path
from sf_plugins_atari.settings import AtariSettings

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

        Raises:
            UsageError: the emulator has no such game.
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
        self._rom = rom_path(settings.rom)
        self._load(seed=None)
        actions = self._ale.getLegalActionSet() if settings.full_action_set else self._ale.getMinimalActionSet()
        self._actions = list(actions)
        self._presses_fire = settings.fire_reset and ale_py.Action.FIRE in self._actions
        self._stack = FrameStack(self._screen().shape, settings.observation_shape)
        self._drawn: list[Screen] = []  # the last two screens in colour, when rendering
        self._record = GameRecord(settings, 1)
        self._num_steps = self._reward_of_action = 0
        self.action_space = gymnasium.spaces.Discrete(len(self._actions))
        self.observation_space = gymnasium.spaces.Box(0, 255, settings.observation_shape, np.uint8)

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
        self._stack.restart(self._screen())
        self._drawn = [self._ale.getScreenRGB()] if self.render_mode == "rgb_array" else []
        self._num_steps = self._reward_of_action = 0
        return self._stack.observation(), self._info(self._record.start(np.array([self._ale.lives()])))

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Repeat one action for `frame_skip` frames, or until the game ends; rewards are the points won, un-clipped."""
        self._num_steps += 1
        out_of_time = self._num_steps >= self.settings.max_steps
        steps_left = -self._num_steps % self.settings.action_repeat  # until the agent acts again, and sees
        reward = 0
        terminated = False
        for frames_left in reversed(range(self.settings.frame_skip)):
            reward += self._ale.act(self._actions[action])
            terminated = self._ale.game_over()
            if terminated or (out_of_time and frames_left == 0):
                break
            if frames_left + steps_left * self.settings.frame_skip < 2:
                self._stack.see(self._screen(), last=frames_left == steps_left == 0)
            if frames_left < 2 and self.render_mode == "rgb_array":
                self._drawn = [*self._drawn[-1:], self._ale.getScreenRGB()]
        self._reward_of_action += reward
        truncated = out_of_time and not terminated
        said: dict[str, Any] = {LIFE_LOST: np.array([False])}
        if steps_left == 0 or terminated:
            self._stack.push()
            earned, self._reward_of_action = self._reward_of_action, 0
            said = self._record.step(
                np.array([earned]), np.array([self._ale.lives()]), np.array([terminated]), np.array([truncated])
            )
        return self._stack.observation(), float(reward), terminated, truncated, self._info(said)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return the screen in colour, [210, 160, 3] uint8, pooled over two frames so that nothing flickers away."""
        if self.render_mode != "rgb_array" or not self._drawn:
            return None
        return np.maximum(self._drawn[0], self._drawn[-1])

    def _screen(self) -> Screen:
        screen: Screen = self._ale.getScreenGrayscale() if self.settings.grayscale else self._ale.getScreenRGB()
        return screen

    def _load(self, *, seed: int | None) -> None:
        if seed is not None:
            self._ale.setInt("random_seed", seed)
        self._ale.loadROM(self._rom)

    def _info(self, said: dict[str, Any]) -> dict[str, Any]:
        """The record's words on one game as plain values."""
        info: dict[str, Any] = {
            LIFE_LOST: bool(said[LIFE_LOST][0]),
            "lives": self._ale.lives(),
            "episode_frame_number": self._ale.getEpisodeFrameNumber(),
        }
        if EPISODE_EXTRA_STATS in said:
            stats = said[EPISODE_EXTRA_STATS]
            info[EPISODE_EXTRA_STATS] = {key: float(value[0]) for key, value in stats.items() if key[0] != "_"}
        return info
