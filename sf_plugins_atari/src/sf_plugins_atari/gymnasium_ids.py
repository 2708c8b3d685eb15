"""Gymnasium's ids of the emulator, `ALE/Pong-v5` and its like, exactly as Gymnasium builds them.

What comes in: an id. What leaves: that environment. Importing `ale_py` is what makes the ids known, so it happens
here, in the process that needs them. No frame stack, no resizing and sticky actions of 0.25: for the usual
preprocessing take the `atari_*` environments. Only the human-normalised score is added, to the infos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ale_py  # noqa: F401  # registers the ids
import gymnasium

from sf_core.envs.gymnasium_envs import make_gymnasium_env
from sf_plugins_atari.human_scores import HUMAN_NORMALIZED_SCORE, RANDOM_AND_HUMAN


class ReportHumanScore(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds the human-normalised score to `info["episode_extra_stats"]` of the last step of a game."""

    def __init__(self, env: gymnasium.Env[Any, Any], random_and_human: tuple[float, float]) -> None:
        """Watch `env`, a game in which these are the scores of a random player and of the human tester."""
        super().__init__(env)
        self._random, self._human = random_and_human
        self._score = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a game."""
        self._score = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count the points."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._score += float(reward)
        if terminated or truncated:
            score = (self._score - self._random) / (self._human - self._random)
            info = {**info, "episode_extra_stats": {HUMAN_NORMALIZED_SCORE: score}}
        return observation, reward, terminated, truncated, info


def make_ale_env(
    full_env_name: str, cfg: Mapping[str, Any], env_config: Mapping[str, Any], render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Build the environment of a Gymnasium id such as `ALE/Pong-v5`, with `--env_frameskip` frames per action.

    Raises:
        UsageError: there is no such id; the message names close ones.
    """
    env = make_gymnasium_env(full_env_name, cfg, env_config, render_mode, frameskip=cfg["env_frameskip"])
    rom = env.spec.kwargs.get("game") if env.spec else None
    return ReportHumanScore(env, RANDOM_AND_HUMAN[rom]) if rom in RANDOM_AND_HUMAN else env
