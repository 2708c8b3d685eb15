"""What the policy sees of a player: observations, shaped rewards, statistics of an episode.

What comes in: a player whose game has moved on. What leaves: an observation, a reward, an info. Shared by games of one
player and of several; this file does not know who else plays.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from gymnasium import spaces

from sf_plugins_vizdoom.actions import Controls
from sf_plugins_vizdoom.measurements import NUM_MEASUREMENTS, measurements_of
from sf_plugins_vizdoom.player import Player
from sf_plugins_vizdoom.remote_player import RemotePlayer
from sf_plugins_vizdoom.screen import Shrinker
from sf_plugins_vizdoom.shaping import DeltaShaping, make_shaping, objective, standings
from sf_plugins_vizdoom.tasks import Task


@dataclass(frozen=True)
class View:
    """How the screen becomes an observation.

    Attributes:
        resolution: what the engine draws, `"160x120"`.
        size: (height, width) of the observation.
        channels_last: `[h, w, 3]` instead of `[3, h, w]`.
    """

    resolution: str = "160x120"
    size: tuple[int, int] = (72, 128)
    channels_last: bool = False


SomePlayer = TypeVar("SomePlayer", bound=Player | RemotePlayer)


class Agent(Generic[SomePlayer]):
    """One player as the learner knows it."""

    def __init__(self, player: SomePlayer, task: Task, controls: Controls, view: View) -> None:
        self.player = player
        self.controls = controls
        self._task = task
        self._shrink = Shrinker(player.screen.shape[1:], view.size, channels_last=view.channels_last)
        self.shaping = make_shaping(task.shaping)
        self._raw_return = 0.0
        screen = spaces.Box(0, 255, self._shrink.shape, np.uint8)
        self.observation_space: spaces.Space[Any] = screen
        if task.measurements:
            count = NUM_MEASUREMENTS if task.measurements == "status" else len(task.variables)
            numbers = spaces.Box(-np.inf, np.inf, (count,), np.float32)
            self.observation_space = spaces.Dict({"obs": screen, "measurements": numbers})

    def begin(self) -> Any:
        """The first observation of an episode."""
        self._raw_return = 0.0
        if self.shaping is not None:
            self.shaping.reset(self.player.variables)
        return self.observation()

    def observation(self) -> Any:
        """What the player saw last."""
        screen = self._shrink(self.player.screen)
        if not self._task.measurements:
            return screen
        variables = self.player.variables
        if self._task.measurements == "status":
            return {"obs": screen, "measurements": measurements_of(variables)}
        return {"obs": screen, "measurements": np.fromiter(variables.values(), np.float32, len(variables))}

    def outcome(self, reward: float) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What a step of the game meant: observation, reward, terminated, truncated, info.

        Args:
            reward: the engine's.
        """
        over = self.player.is_over
        truncated = over and self.player.is_timed_out
        shaped = reward
        if self.shaping is not None and not over:  # an episode that is over has no variables any more
            shaped += self.shaping.reward(self.player.variables)
        self._raw_return += reward
        info = self.summary() if over else {}
        return self.observation(), shaped * self._task.reward_scale, over and not truncated, truncated, info

    def summary(self) -> dict[str, Any]:
        """What the info of an episode's last step says: statistics, and the true objective where there is one."""
        stats = standings(self.player.variables)
        if self.shaping is not None:
            stats["unshaped_return"] = self._raw_return
        info: dict[str, Any] = {"episode_extra_stats": stats} if stats else {}
        purpose = objective(self._task.objective, self._raw_return, stats)
        if purpose is not None:
            info["true_objective"] = purpose
        return info

    def weights(self) -> dict[str, Any] | None:
        """Of the shaping, as they are now; None where there are none to choose."""
        return copy.deepcopy(self.shaping.scheme) if isinstance(self.shaping, DeltaShaping) else None

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Change those that are given."""
        if isinstance(self.shaping, DeltaShaping):
            for part, values in weights.items():
                self.shaping.scheme[part] = {**self.shaping.scheme.get(part, {}), **values}
