"""The checkpoints of one policy: which exist, which are kept, which is read.

In: a `LearnerState` and what the run knows beside it. Out: folders under `checkpoint_p<policy>/`, or one of them read
back. Does not know what is inside a folder (`checkpoint_folder.py`).

    checkpoint_<policy_version>_<env_steps>/                  the newest few, `--keep_checkpoints`
    best_<policy_version>_<env_steps>_<metric>_<value>/       one
    milestones/checkpoint_<policy_version>_<env_steps>/       all
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from sf_core.learner.checkpoint_folder import (
    Checkpoint,
    is_disk_full,
    is_same_checkpoint,
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

    Damaged ones are passed over with a warning. Where none of the kind exists or can be read, one of the other kind is
    taken, or else the newest milestone, with a warning too: a run that was killed early may have no other.

    Raises:
        UsageError: there are checkpoints, and none of them can be read. Starting anew is for the user to decide.
    """
    directory = Path(directory)
    candidates = find_checkpoints(directory, kind)
    others = find_checkpoints(directory, "latest" if kind == "best" else "best")
    others += find_checkpoints(directory / "milestones", "latest")
    if others and not candidates:
        log.warning("No %s checkpoint was saved in %s so far; taking %s.", kind, directory, others[0].name)
    candidates += others
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

        A run that went on from an earlier state (its best one, say) leaves checkpoints with higher versions behind, or
        with this one. They belong to a branch that was given up: they are kept among the milestones, and this one is
        the newest.

        Args:
            state: of the learner.
            description: what the run adds to `checkpoint.json`: `seconds`, `best_performance`, `observation_space`,
                `action_space`, `num_agents`, `components`, `config`, `config_origins`, `plugins`.

        Returns:
            The folder, or None where the disk was full.
        """
        path = self._save(self.directory / _name("checkpoint", state), state, description, put_away=self._set_aside)
        if path is not None:
            newest_first = find_checkpoints(self.directory, "latest")
            try:
                for given_up in newest_first[: newest_first.index(path)]:
                    self._set_aside(given_up)
            except OSError as error:
                if not is_disk_full(error):
                    raise
                log.warning("Disk full: what the run no longer follows is still in %s. Free some space.", path.parent)
            for old in newest_first[newest_first.index(path) + self.keep_checkpoints :]:
                remove_checkpoint(old)
        return path

    def _set_aside(self, given_up: Path) -> None:
        """Keep a checkpoint among the milestones, beside the one of its name that an earlier branch has left there."""
        kept = self.directory / "milestones" / given_up.name
        kept.parent.mkdir(exist_ok=True)
        if kept != given_up and kept.exists() and is_same_checkpoint(given_up, kept):
            remove_checkpoint(given_up)
            return
        number = 1
        while kept.exists():
            kept = kept.with_name(f"{given_up.name}_old{number:04d}")
            number += 1
        given_up.rename(kept)
        log.info("%s is of a branch this run no longer follows; it is kept as %s", given_up.name, kept)

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
        path = self.directory / "milestones" / _name("checkpoint", state)
        return self._save(path, state, description, put_away=self._set_aside)

    def load(self, kind: Kind = "latest") -> Checkpoint | None:
        """See `load_checkpoint`."""
        return load_checkpoint(self.directory, kind)

    def _save(
        self,
        path: Path,
        state: LearnerState,
        description: Mapping[str, Any],
        put_away: Callable[[Path], None] | None = None,
    ) -> Path | None:
        facts = {**description, **state.facts}
        try:
            remove_leftovers(path.parent)
            write_checkpoint(path, state.model, state.optimizer, facts, state.sampler, put_away=put_away)
        except OSError as error:
            if not is_disk_full(error):
                raise
            log.warning("Disk full: checkpoint %s was not saved; the one before it stays. Free some space.", path)
            return None
        return path


def _name(prefix: str, state: LearnerState) -> str:
    return f"{prefix}_{state.facts['policy_version']:09d}_{state.facts['env_steps']}"
