"""A game of one agent, alone or against bots, as a Gymnasium environment.

What comes in: a `Game` and actions. What leaves: the shrunk screen (with measurements, where the task has them), the
reward, `terminated` if the task ended and `truncated`, never both, if its time was up. This file does not know
learning.

The engine is a process of its own. It starts with the first `reset`, without a window or sound, and ends with `close`.
If it dies, `step` and `reset` raise what the vizdoom package raises; a later `reset` starts another one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium

from sf_core.envs.env_utils import RewardShapingInterface
from sf_plugins_vizdoom import network
from sf_plugins_vizdoom.agent import Agent
from sf_plugins_vizdoom.clock import TicClock
from sf_plugins_vizdoom.game import Game, custom_game_from, game_from
from sf_plugins_vizdoom.multiplayer import MultiDoomEnv
from sf_plugins_vizdoom.player import Player, demo_path, next_demo_index
from sf_plugins_vizdoom.screen import Pixels
from sf_plugins_vizdoom.tasks import TICS_PER_SECOND

MAX_SEED = 2**31


class DoomEnv(gymnasium.Env[Any, Any], RewardShapingInterface):
    """One agent's game."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"]}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, game: Game, render_mode: str | None = None) -> None:
        """Prepare; the engine is not started yet.

        Args:
            game: what is played and how.
            render_mode: None, "rgb_array" or "human" (the engine's own window, in real time).
        """
        self.game = game
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": TICS_PER_SECOND / game.frame_skip}
        self._agent = Agent(self._new_player(), game.task, game.controls, game.view)
        self.observation_space = self._agent.observation_space
        self.action_space = game.controls.space
        self._lobby: network.Lobby | None = None
        self._next_demo = next_demo_index(game.record_to) if game.record_to else 0
        self._recording: Path | None = None
        self._has_stepped = False
        self._clock = TicClock()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode, and the engine if it does not run; episodes after a seeded one are reproducible too."""
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(MAX_SEED))
        if seed is not None and self.game.task.is_multiplayer:
            self.close()  # bots carry the state of their random numbers from episode to episode
        agent = self._agent
        if not agent.player.engine.is_running:
            agent.player = self._new_player()
            if self.game.task.is_multiplayer:
                self._lobby = network.Lobby(self.game.task, self.game.bot_difficulty)
                agent.player.game.add_game_args(self._lobby.arguments(0))
        unplayed = None if self._has_stepped else self._recording
        self._recording, self._has_stepped = self._new_recording(), False
        try:
            agent.player.new_episode(episode_seed, self._recording)
        except BaseException:
            self.close(at_once=True)
            raise
        finally:
            if unplayed is not None:
                unplayed.unlink(missing_ok=True)
        if self._lobby is not None:
            agent.player.commands(self._lobby.bot_commands())
        self._clock = TicClock()
        return agent.begin(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hold the action for `frame_skip` tics, or until the episode ends."""
        try:
            return self._agent.outcome(self._play(self._agent.controls.values(action)))
        except Exception:
            self.close(at_once=True)
            raise

    def render(self) -> Pixels | None:
        """Return the screen as the engine drew it, [height, width, 3] uint8."""
        return self._agent.player.screen.transpose(1, 2, 0).copy() if self.render_mode == "rgb_array" else None

    def close(self, *, at_once: bool = False) -> None:
        """End the engine's process; a later `reset` would start another."""
        # The vizdoom package would wait forever for the end of a recording that a killed engine was writing.
        self._agent.player.engine.close(at_once=at_once and self._recording is None)
        if self._lobby is not None:
            self._lobby.close()
            self._lobby = None
        if self._recording is not None:
            if not self._has_stepped or not self._recording.stat().st_size:  # nobody played, or the engine was killed
                self._recording.unlink()
            self._recording = None

    def get_default_reward_shaping(self) -> dict[str, Any] | None:
        """The weights of the shaping, `{"delta": ..., "selected_weapon": ...}`; None where there are none."""
        return self._agent.weights()

    def set_reward_shaping(self, reward_shaping: Mapping[str, Any], agent_index: int | slice) -> None:
        """Use other weights from now on."""
        self._agent.set_weights(reward_shaping)

    def _new_player(self) -> Player:
        return self.game.player(window=self.render_mode == "human")

    def _play(self, values: list[float]) -> float:
        self._has_stepped = True
        player = self._agent.player
        if self.render_mode != "human":
            return player.play(values, self.game.frame_skip)
        reward = 0.0
        for _ in range(self.game.frame_skip):  # one by one, so that the window moves as smoothly as the game does
            reward += player.play(values, 1)
            self._clock.wait()
            if player.is_over:
                break
        return reward

    def _new_recording(self) -> Path | None:
        """A file that is this environment's alone, whoever else records into the same directory at the same time."""
        if self.game.record_to is None:
            return None
        while True:
            path = demo_path(self.game.record_to, self._next_demo)
            self._next_demo += 1
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                path.touch(exist_ok=False)
                return path


def make_doom_env(
    full_env_name: str,
    cfg: Mapping[str, Any],
    env_config: Mapping[str, Any],
    render_mode: str | None = None,
    *,
    task: str,
) -> DoomEnv | MultiDoomEnv:
    """Build the environment of a task in `tasks.TASKS`."""
    return _make(game_from(_recording_once(cfg, env_config), task), render_mode)


def make_custom_env(
    full_env_name: str, cfg: Mapping[str, Any], env_config: Mapping[str, Any], render_mode: str | None = None
) -> DoomEnv | MultiDoomEnv:
    """Build `doom:path/to/scenario.cfg`."""
    config = full_env_name.partition(":")[2]
    return _make(custom_game_from(_recording_once(cfg, env_config), config), render_mode)


def _make(game: Game, render_mode: str | None) -> DoomEnv | MultiDoomEnv:
    return MultiDoomEnv(game, render_mode) if game.task.num_agents > 1 else DoomEnv(game, render_mode)


def _recording_once(cfg: Mapping[str, Any], env_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of all environments of a run only the first records."""
    if env_config.get("env_id", 0) == 0:
        return cfg
    return {**cfg, "record_to": None}
