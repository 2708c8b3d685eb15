"""When a run saves, and what it adds to a checkpoint beside the learner's state.

In: the learner, the time, the episode statistics. Out: checkpoints, the counters of the one a run continues from.
Knows nothing of files: `learner.checkpoint` does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from sf_core.cfg.config import Config
from sf_core.learner.checkpoint import Checkpointer
from sf_core.learner.update import Learner
from sf_core.runner.statistics import EpisodeStatistics
from sf_core.utils.log import log

_LEAST_IMPROVEMENT = 1e-3


class CheckpointSchedule:
    """Saves every `--save_every_sec`, milestones, the best so far, and whenever asked.

    Args:
        cfg: intervals, the metric that defines "best".
        directory: of the policy's checkpoints.
        learner: whose state is saved and restored.
        description: constant facts that go into every `checkpoint.json` (spaces, components, configuration, plugins).
        generators: sources of randomness outside of the learner.
    """

    def __init__(
        self,
        cfg: Config,
        directory: Path,
        learner: Learner,
        description: Mapping[str, Any],
        generators: Mapping[str, torch.Generator],
    ) -> None:
        self._cfg = cfg
        self._files = Checkpointer(directory, cfg.keep_checkpoints)
        self._learner = learner
        self._description = description
        self._generators = generators
        self._best = -math.inf
        self._last_version = -1
        now = time.monotonic()
        self._due_s = {
            "latest": now + cfg.save_every_sec,
            "best": now + cfg.save_best_every_sec,
            "milestone": now + cfg.save_milestones_sec if cfg.save_milestones_sec > 0 else math.inf,
        }
        self.seconds = 0.0
        """Training time behind the restored checkpoint."""
        self.newest: Path | None = None
        """The newest checkpoint that is complete on disk."""

    def restore(self) -> bool:
        """Put the learner where the run stopped; False where there is nothing to continue.

        Raises:
            UsageError: there are checkpoints but none can be read, or they belong to another model.
        """
        checkpoint = self._files.load(self._cfg.load_checkpoint_kind)
        if checkpoint is None:
            return False
        self._learner.restore(checkpoint, self._generators)
        self.seconds = float(checkpoint.facts.get("seconds") or 0.0)
        self._best = float(checkpoint.facts.get("best_performance") or -math.inf)
        self._last_version = checkpoint.policy_version
        self.newest = checkpoint.path
        return True

    def after_iteration(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        """Save what is due; `report` hears of every new checkpoint."""
        now = time.monotonic()
        if now >= self._due_s["best"]:
            self._due_s["best"] = now + self._cfg.save_best_every_sec
            self._save_best(episodes, seconds, report)
        if now >= self._due_s["milestone"]:
            self._due_s["milestone"] = now + self._cfg.save_milestones_sec
            self._note(self._files.save_milestone(self._learner.state(self._generators), self._facts(seconds)), report)
        if now >= self._due_s["latest"]:
            self.save(seconds, report)

    def save(self, seconds: float, report: Callable[[Path], None]) -> None:
        """Save the newest state now, unless that was done already."""
        self._due_s["latest"] = time.monotonic() + self._cfg.save_every_sec
        if self._learner.policy_version == self._last_version:
            return
        path = self._files.save(self._learner.state(self._generators), self._facts(seconds))
        if path is not None:
            self._last_version = self._learner.policy_version
            self.newest = path
        self._note(path, report)

    def _save_best(self, episodes: EpisodeStatistics, seconds: float, report: Callable[[Path], None]) -> None:
        metric = self._cfg.save_best_metric
        value = episodes.mean(metric)
        if self._learner.env_steps < self._cfg.save_best_after or not value > self._best + _LEAST_IMPROVEMENT:
            return
        self._best = value
        path = self._files.save_best(
            self._learner.state(self._generators), self._facts(seconds), metric=metric, value=value
        )
        self._note(path, report)

    def _facts(self, seconds: float) -> dict[str, Any]:
        return {**self._description, "seconds": seconds, "best_performance": self._best}

    @staticmethod
    def _note(path: Path | None, report: Callable[[Path], None]) -> None:
        if path is not None:
            log.debug("Saved %s", path)
            report(path)
