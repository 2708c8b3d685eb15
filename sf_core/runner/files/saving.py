"""Saves and restores one learner, in the process that has it.

In: requests of the run. Out: checkpoints on disk, or the learner as it was, or with the weights of another run. Does
not know when to save (`checkpointing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sf_core.cfg.config import Config
from sf_core.learner.checkpoint import Checkpointer, Kind
from sf_core.learner.checkpoint_folder import Checkpoint
from sf_core.learner.update import Learner
from sf_core.model.checkpoint_files import SavedPolicy, find_checkpoints, read_saved_policy
from sf_core.runner.files.checkpoint_fit import TO_BEGIN, TO_CONTINUE, blamed_on_flags, check_spaces, find_policy
from sf_core.runner.files.resume_point import ResumePoint
from sf_core.runner.processes.messages import Restored, Saved, SaveRequest
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log


class LearnerFiles:
    """The checkpoints of a learner in this process.

    Args:
        cfg: which checkpoint to continue from, how many are kept.
        directory: of the policy's checkpoints.
        learner: whose state is saved and restored.
        description: constant facts that go into every `checkpoint.json` (spaces, components, configuration, plugins).
        generators: sources of randomness outside of the learner.
        resume_point: what knows where the sampler stands; None where nobody does.
    """

    def __init__(
        self,
        cfg: Config,
        directory: Path,
        learner: Learner,
        description: Mapping[str, Any],
        generators: Mapping[str, torch.Generator] | None = None,
        resume_point: ResumePoint | None = None,
    ) -> None:
        self._cfg = cfg
        self._files = Checkpointer(directory, cfg.keep_checkpoints)
        self._learner = learner
        self._description = description
        self._generators = generators or {}
        self._resume_point = resume_point
        self._restored: Checkpoint | None = None
        self._all_generators_restored = True

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

        A run that begins takes over the weights of `--init_from`, if it was given.

        Raises:
            UsageError: there are checkpoints but none can be read, or they belong to another model.
        """
        cfg = self._cfg
        checkpoint = self._files.load(_kind_to_continue(cfg)) if cfg.restart_behavior == "resume" else None
        if checkpoint is None:
            if cfg.init_from:
                self._begin_with(find_policy(cfg))
            return None
        path, facts = checkpoint.path, checkpoint.facts
        check_spaces(path, facts, cfg, self._description, TO_CONTINUE)
        try:
            with blamed_on_flags(path, facts, cfg, TO_CONTINUE):
                self._all_generators_restored = self._learner.restore(checkpoint, self._generators)
            restored = Restored(
                path=path,
                policy_version=checkpoint.policy_version,
                seconds=float(facts.get("seconds") or 0.0),
                best_performance=self._best_so_far(facts),
                episodes=dict(facts.get("episodes") or {}),
                counters={str(name): int(count) for name, count in (facts.get("counters") or {}).items()},
                exact_so_far=facts.get("resumed_exactly") is not False,
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(
                f"checkpoint {path} cannot be continued ({type(error).__name__}: {error}); move it away to continue "
                "from the one before it."
            ) from error
        self._restored = checkpoint
        return restored

    def resume_sampling(self) -> str:
        """Bring the sampler to where it was when the restored checkpoint was saved.

        Returns:
            Why new episodes have to begin; empty where the run goes on as if it had not stopped.
        """
        checkpoint, self._restored = self._restored, None  # the episodes may take much memory
        if self._resume_point is None:
            return "only single environments can be played again"
        if checkpoint is None:
            return "nothing was restored"
        if (checkpoint.facts.get("config") or {}).get("seed") != self._cfg.seed:
            return "the seed is another one"
        why_not = self._resume_point.restore(checkpoint)
        return why_not if why_not or self._all_generators_restored else "the random states are of another machine"

    def _best_so_far(self, facts: Mapping[str, Any]) -> float | None:
        """By the restored checkpoint, or by the best one, which a run that was killed may have saved later."""
        values = [_best_performance(facts, self._cfg)]
        for path in find_checkpoints(self._files.directory, "best"):
            with suppress(ValueError, TypeError, AttributeError):  # damaged: no bound
                values.append(_best_performance(read_saved_policy(path).facts, self._cfg))
        return max((value for value in values if value is not None), default=None)

    def _begin_with(self, saved: SavedPolicy) -> None:
        check_spaces(saved.path, saved.facts, self._cfg, self._description, TO_BEGIN)
        with blamed_on_flags(saved.path, saved.facts, self._cfg, TO_BEGIN):
            self._learner.policy.load_weights(saved.weights)
        log.info("The weights to begin with are those of %s", saved.path)

    def save(self, request: SaveRequest, done: Callable[[Saved], None]) -> None:
        """Save the present state; `done` hears of it before this returns."""
        state = self._learner.state(self._generators)
        if self._resume_point is not None:
            state = self._resume_point.added_to(state)
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


def _kind_to_continue(cfg: Config) -> Kind:
    """Beside `--init_from`, `--load_checkpoint_kind` says what to begin with: the same command again goes on."""
    begins_with = cfg.init_from and cfg.origin("init_from") != "saved"
    return "best" if cfg.load_checkpoint_kind == "best" and not begins_with else "latest"


def _best_performance(facts: Mapping[str, Any], cfg: Config) -> float | None:
    """What a checkpoint says was best; what was so by another metric says nothing about this one."""
    before = (facts.get("config") or {}).get("save_best_metric", cfg.save_best_metric)
    value = facts.get("best_performance")
    return None if value is None or before != cfg.save_best_metric else float(value)
