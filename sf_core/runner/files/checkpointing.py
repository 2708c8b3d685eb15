"""When a run saves, and what it adds to a checkpoint beside the learner's state.

In: the learner, the time, the episode statistics. Out: requests to save, the counters of the checkpoint a run continues
from. Knows nothing of files, nor whether the learner is in this process (`saving.py`) or in another
(`remote_learner.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sf_core.cfg.checks import EVAL_REWARD
from sf_core.cfg.config import Config
from sf_core.runner.processes.messages import Restored, Saved, SaveRequest
from sf_core.runner.reports.statistics import EpisodeStatistics
from sf_core.utils.log import log

_LEAST_IMPROVEMENT = 1e-3


class SavedLearner(Protocol):
    """A learner, wherever it is: how far it is, and its checkpoints."""

    @property
    def policy_version(self) -> int:
        """Optimizer steps so far."""

    @property
    def env_steps(self) -> int:
        """Env steps trained on so far."""

    @property
    def agent_steps(self) -> int:
        """Agent steps trained on so far."""

    def restore(self) -> Restored | None:
        """Put the learner where the run stopped; None where there is nothing to continue."""

    def save(self, request: SaveRequest, done: Callable[[Saved], None]) -> None:
        """Save the present state, now or soon; `done` hears of it."""

    def wait_for_saves(self) -> None:
        """Return when everything asked for is on disk."""


class CheckpointSchedule:
    """Saves every `--save_every_sec`, milestones, the best so far, and whenever asked.

    Args:
        cfg: intervals, the metric that defines "best".
        learner: whose state is saved and restored.
        counted: what the run has counted so far, all continuations together.
    """

    def __init__(
        self, cfg: Config, learner: SavedLearner, counted: Callable[[], Mapping[str, int]] = dict[str, int]
    ) -> None:
        self._cfg = cfg
        self._learner = learner
        self._counted = counted
        self._best = -math.inf
        self._warned = False
        self._last_version = -1
        now = time.monotonic()
        self._due_s = {
            "latest": now + cfg.save_every_sec,
            "best": now + cfg.save_best_every_sec,
            "milestone": now + cfg.save_milestones_sec if cfg.save_milestones_sec > 0 else math.inf,
        }
        self.episodes: Mapping[str, Any] = {}
        """Statistics of the last episodes behind the restored checkpoint."""
        self.counters: Mapping[str, int] = {}
        """What had been counted up to the restored checkpoint."""
        self.resumed_exactly: bool | None = None
        """Whether the run is what it would have been without interruption; None while there was none."""
        self.seconds = 0.0
        """Training time behind the restored checkpoint."""
        self.newest: Path | None = None
        """The newest checkpoint that is complete on disk."""

    def restore(self) -> bool:
        """Put the learner where the run stopped; False where there is nothing to continue.

        Raises:
            UsageError: there are checkpoints but none can be read, or they belong to another model.
        """
        restored = self._learner.restore()
        if restored is None:
            return False
        self.seconds = restored.seconds
        if math.isfinite(self._due_s["milestone"]):  # of training time: a job that is often continued has some, too
            self._due_s["milestone"] -= self.seconds % self._cfg.save_milestones_sec
        self.episodes = restored.episodes
        self.counters = restored.counters
        self.resumed_exactly = restored.exact_so_far
        self._best = -math.inf if restored.best_performance is None else float(restored.best_performance)
        self._last_version = restored.policy_version
        self.newest = restored.path
        return True

    def after_iteration(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        """Save what is due; `report` hears of every new checkpoint."""
        now = time.monotonic()
        if now >= self._due_s["best"]:
            self._due_s["best"] = now + self._cfg.save_best_every_sec
            self._save_best(episodes, seconds, report)
        if now >= self._due_s["milestone"]:
            self._due_s["milestone"] = now + self._cfg.save_milestones_sec
            request = SaveRequest("milestone", self._facts(episodes, seconds))
            self._learner.save(request, lambda saved: self._note(saved.path, report))
        if now >= self._due_s["latest"]:
            self.save(episodes, seconds, report)

    @property
    def is_saved(self) -> bool:
        """Whether the newest state is on disk."""
        return self._learner.policy_version == self._last_version or self._learner.policy_version == 0

    def save(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        """Save the newest state now, unless that was done already."""
        self._due_s["latest"] = time.monotonic() + self._cfg.save_every_sec
        if self._learner.policy_version == self._last_version:
            return

        def note(saved: Saved) -> None:
            if saved.path is not None:
                self._last_version = saved.policy_version
                self.newest = saved.path
            self._note(saved.path, report)

        self._learner.save(SaveRequest("latest", self._facts(episodes, seconds)), note)

    def save_at_end(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        """Save the newest state, also as the best if it is; return when everything is on disk."""
        self._save_best(episodes, seconds, report)
        self.save(episodes, seconds, report)
        self.wait()

    def wait(self) -> None:
        """Return when everything asked for is on disk."""
        self._learner.wait_for_saves()

    def _save_best(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        metric = self._cfg.save_best_metric
        if self._learner.env_steps < self._cfg.save_best_after or metric == EVAL_REWARD:
            return
        value = episodes.mean(metric)
        if episodes.num_episodes and metric not in (reported := episodes.spreads()) and not self._warned:
            self._warned = True
            log.warning(
                "No episode has reported %s so far (--save_best_metric), so no checkpoint is the best; there are %s.",
                metric,
                ", ".join(reported),
            )
        if not value > self._best + _LEAST_IMPROVEMENT:
            return
        before, self._best = self._best, value

        def note(saved: Saved) -> None:
            if saved.path is None and self._best == value:
                self._best = before  # the disk was full: the next look tries again
            self._note(saved.path, report)

        request = SaveRequest("best", self._facts(episodes, seconds), metric=metric, value=value)
        self._learner.save(request, note)

    def _facts(self, episodes: EpisodeStatistics, seconds: float) -> dict[str, Any]:
        return {
            "seconds": seconds,
            "best_performance": self._best,
            "episodes": episodes.state(),
            "counters": dict(self._counted()),
            "resumed_exactly": self.resumed_exactly,
        }

    @staticmethod
    def _note(path: Path | None, report: Callable[[Path], None]) -> None:
        if path is not None:
            log.debug("Saved %s", path)
            report(path)
