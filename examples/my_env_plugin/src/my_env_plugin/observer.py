"""What watches the training on mazes."""

from __future__ import annotations

from collections import deque
from typing import Any

from sf_core import TrainingObserver

WINDOW = 100


class MazeGoal(TrainingObserver):
    """Ends the run when the share `--maze_goal` of the last 100 mazes was solved, and adds that share to the charts."""

    def __init__(self, cfg: Any) -> None:
        self._goal = cfg.maze_goal
        self._solved: deque[float] = deque(maxlen=WINDOW)

    def on_episodes(self, run, policy_id, stats) -> None:
        self._solved.extend(e.extra_stats["maze_solved"] for e in stats if "maze_solved" in e.extra_stats)
        if len(self._solved) == WINDOW and self.share >= self._goal:
            run.request_stop(f"{self.share:.0%} of the last {WINDOW} mazes were solved")

    def summaries(self, run, policy_id, env_steps) -> dict[str, float]:
        return {"my_maze/solved_share": self.share} if self._solved else {}

    @property
    def share(self) -> float:
        """Share of the last mazes that were solved."""
        return sum(self._solved) / max(1, len(self._solved))
