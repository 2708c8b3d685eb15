"""Saves and restores one learner, in the process that has it.

In: requests of the run. Out: checkpoints on disk, or the learner as it was. Does not know when to save
(`checkpointing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from sf_core.cfg.config import Config
from sf_core.learner.checkpoint import Checkpointer
from sf_core.learner.update import Learner
from sf_core.runner.messages import Restored, Saved, SaveRequest


class LearnerFiles:
    """The checkpoints of a learner in this process.

    Args:
        cfg: which checkpoint to continue from, how many are kept.
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
        generators: Mapping[str, torch.Generator] | None = None,
    ) -> None:
        self._kind = cfg.load_checkpoint_kind
        self._files = Checkpointer(directory, cfg.keep_checkpoints)
        self._learner = learner
        self._description = description
        self._generators = generators or {}

    @property
    def policy_version(self) -> int:
        """Optimizer steps so far."""
        return self._learner.policy_version

    @property
    def env_steps(self) -> int:
        """Env steps trained on so far."""
        return self._learner.env_steps

    @property
    def agent_steps(self) -> int:
        """Agent steps trained on so far."""
        return self._learner.agent_steps

    def restore(self) -> Restored | None:
        """Put the learner where the run stopped; None where there is nothing to continue.

        Raises:
            UsageError: there are checkpoints but none can be read, or they belong to another model.
        """
        checkpoint = self._files.load(self._kind)
        if checkpoint is None:
            return None
        self._learner.restore(checkpoint, self._generators)
        facts = checkpoint.facts
        return Restored(
            path=checkpoint.path,
            policy_version=checkpoint.policy_version,
            seconds=float(facts.get("seconds") or 0.0),
            best_performance=facts.get("best_performance"),
            episodes=facts.get("episodes") or {},
        )

    def save(self, request: SaveRequest, done: Callable[[Saved], None]) -> None:
        """Save the present state; `done` hears of it before this returns."""
        state = self._learner.state(self._generators)
        facts = {**self._description, **request.facts}
        if request.kind == "best":
            path = self._files.save_best(state, facts, metric=request.metric, value=request.value)
        elif request.kind == "milestone":
            path = self._files.save_milestone(state, facts)
        else:
            path = self._files.save(state, facts)
        done(Saved(path, int(state.facts["policy_version"])))

    def wait_for_saves(self) -> None:
        """Nothing: whatever was asked for is on disk."""
