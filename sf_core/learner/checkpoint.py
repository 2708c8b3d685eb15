"""The checkpoints of one policy: which exist, which are kept, which is read.

In: a `LearnerState` and what the run knows beside it. Out: folders under `checkpoint_p<policy>/`, or one of them read
back. Does not know what is inside a folder (`checkpoint_folder.py`).

    checkpoint_<policy_version>_<env_steps>/                  the newest few, `--keep_checkpoints`
    best_<policy_version>_<env_steps>_<metric>_<value>/       one
    milestones/checkpoint_<policy_version>_<env_steps>/       all
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from sf_core.learner.checkpoint_folder import (
    Checkpoint,
    is_disk_full,
    read_checkpoint,
    remove_checkpoint,
    remove_leftovers,
    write_checkpoint,
)
from sf_core.model.checkpoint_files import DamagedCheckpointError, find_checkpoints
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

Kind = Literal["latest", "best"]


@dataclass(frozen=True, slots=True)
class LearnerState:
    """Everything a learner needs to go on: tensors that belong to nobody else, and plain data."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    facts: dict[str, Any]  # policy_version, env_steps, agent_steps, lr, schedule, random_state
    sampler: dict[str, Tensor] = field(default_factory=dict)  # where the episodes stand, if the run knows


def latest(directory: str | Path) -> Path | None:
    """The checkpoint with the highest policy version, or None."""
    return next(iter(find_checkpoints(Path(directory), "latest")), None)


def best(directory: str | Path) -> Path | None:
    """The newest checkpoint saved as the best one, or None."""
    return next(iter(find_checkpoints(Path(directory), "best")), None)


def load_checkpoint(directory: str | Path, kind: Kind = "latest") -> Checkpoint | None:
    """The newest checkpoint of a kind that can be read; None where there is no checkpoint at all.

    Damaged ones are passed over with a warning. Where no best one exists or can be read, the latest one is taken, with
    a warning too.

    Raises:
        UsageError: there are checkpoints, and none of them can be read. Starting anew is for the user to decide.
    """
    directory = Path(directory)
    candidates = find_checkpoints(directory, kind)
    if kind == "best":
        fallback = find_checkpoints(directory, "latest")
        if not candidates and fallback:
            log.warning("No best checkpoint was saved in %s so far; taking the latest one.", directory)
        candidates += fallback
    for path in candidates:
        try:
            return read_checkpoint(path)
        except DamagedCheckpointError as error:
            log.warning("%s; trying the one before it", error)
    if candidates:
        raise UsageError(
            f"None of the {len(candidates)} checkpoints in {directory} can be read; put an intact one there, "
            "or begin again with --restart_behavior=restart or another --experiment."
        )
    return None


class Checkpointer:
    """Saves the checkpoints of one policy and keeps the right ones. Building it touches nothing.

    A full disk is a warning, not the end of a run: what was saved before stays, and the next save tries again.
    """

    def __init__(self, directory: str | Path, keep_checkpoints: int = 2) -> None:
        self.directory = Path(directory)
        self.keep_checkpoints = max(1, keep_checkpoints)

    def save(self, state: LearnerState, description: Mapping[str, Any]) -> Path | None:
        """Save the newest state; older checkpoints beyond `keep_checkpoints` go.

        A run that went on from an earlier state (its best one, say) leaves checkpoints with higher versions behind.
        They belong to a branch that was given up: they are kept among the milestones, and this one is the newest.

        Args:
            state: of the learner.
            description: what the run adds to `checkpoint.json`: `seconds`, `best_performance`, `observation_space`,
                `action_space`, `num_agents`, `components`, `config`, `config_origins`, `plugins`.

        Returns:
            The folder, or None where the disk was full.
        """
        path = self._save(self.directory / _name("checkpoint", state), state, description)
        if path is not None:
            newest_first = find_checkpoints(self.directory, "latest")
            self._set_aside(newest_first[: newest_first.index(path)])
            for old in newest_first[newest_first.index(path) + self.keep_checkpoints :]:
                remove_checkpoint(old)
        return path

    def _set_aside(self, given_up: Sequence[Path]) -> None:
        for path in given_up:
            kept = self.directory / "milestones" / path.name
            kept.parent.mkdir(exist_ok=True)
            if kept.exists():
                remove_checkpoint(kept)
            path.rename(kept)
            log.info("%s is of a branch this run no longer follows; it is kept in %s", path.name, kept.parent)

    def save_best(
        self, state: LearnerState, description: Mapping[str, Any], *, metric: str, value: float
    ) -> Path | None:
        """Save the best state so far; the one that was best before goes. Arguments and result as in `save`."""
        word = re.sub(r"[^A-Za-z0-9.-]+", "_", metric)  # `policy_stats/kills` would be a folder
        path = self._save(self.directory / f"{_name('best', state)}_{word}_{value:.3f}", state, description)
        if path is not None:
            for old in find_checkpoints(self.directory, "best"):
                if old != path:
                    remove_checkpoint(old)
        return path

    def save_milestone(self, state: LearnerState, description: Mapping[str, Any]) -> Path | None:
        """Save a state that is never deleted. Arguments and result as in `save`."""
        return self._save(self.directory / "milestones" / _name("checkpoint", state), state, description)

    def load(self, kind: Kind = "latest") -> Checkpoint | None:
        """See `load_checkpoint`."""
        return load_checkpoint(self.directory, kind)

    def _save(self, path: Path, state: LearnerState, description: Mapping[str, Any]) -> Path | None:
        try:
            remove_leftovers(path.parent)
            write_checkpoint(path, state.model, state.optimizer, {**description, **state.facts}, state.sampler)
        except OSError as error:
            if not is_disk_full(error):
                raise
            log.warning("Disk full: checkpoint %s was not saved; the one before it stays. Free some space.", path)
            return None
        return path


def _name(prefix: str, state: LearnerState) -> str:
    return f"{prefix}_{state.facts['policy_version']:09d}_{state.facts['env_steps']}"
