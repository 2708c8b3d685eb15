"""What games in progress have scored and which just lost a life: the same words from every back end.

What comes in: the un-clipped rewards, lives and ends of a step. What leaves: `infos["life_lost"]`, and the
human-normalised score of games that ended. This file does not know who emulates the games.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sf_plugins_atari.human_scores import HUMAN_NORMALIZED_SCORE, RANDOM_AND_HUMAN
from sf_plugins_atari.settings import AtariSettings

LIFE_LOST = "life_lost"
EPISODE_EXTRA_STATS = "episode_extra_stats"


class GameRecord:
    """Lives and scores of N games; the step after an end only resets its game and is worth 0 points."""

    def __init__(self, settings: AtariSettings, num_games: int) -> None:
        """Prepare for `num_games` games, played as `settings` say."""
        self._random_and_human = RANDOM_AND_HUMAN.get(settings.rom)
        self._reports_lives = settings.episodic_life
        self._lives: npt.NDArray[np.integer] = np.zeros(num_games, dtype=np.int32)
        self._score = np.zeros(num_games, dtype=np.int64)

    def start(self, lives: npt.NDArray[np.integer], games: npt.NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Begin anew, in all games or in those marked, with these lives [N]; returns what the infos say."""
        self._lives = lives.copy()
        self._score[slice(None) if games is None else games] = 0
        return {LIFE_LOST: np.zeros(len(lives), dtype=np.bool_)}

    def step(
        self,
        reward: npt.NDArray[Any],
        lives: npt.NDArray[np.integer],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> dict[str, Any]:
        """Count one step of every game, arrays [N]; returns what the infos say.

        `life_lost` [N] marks games that go on with a life less: no life left is the end of the game, which some games
        take a few frames to admit (Qbert). A game that the time limit cuts may have lost one in the same step.
        """
        if self._reports_lives:
            life_lost = (lives < self._lives) & (lives > 0) & ~terminated
        else:
            life_lost = np.zeros(len(lives), dtype=np.bool_)
        self._lives = lives.copy()
        self._score += reward.astype(np.int64)
        infos: dict[str, Any] = {LIFE_LOST: life_lost}
        ended = terminated | truncated
        if ended.any():
            if self._random_and_human is not None:
                random, human = self._random_and_human
                infos[EPISODE_EXTRA_STATS] = {
                    HUMAN_NORMALIZED_SCORE: (self._score - random) / (human - random),
                    f"_{HUMAN_NORMALIZED_SCORE}": ended,
                }
            self._score[ended] = 0
        return infos
