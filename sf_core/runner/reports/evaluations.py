"""Evaluations of a run while it trains, as the runner sees them.

In: how far training is, checkpoints. Out: what evaluations came to. Who plays, and where, is decided by whoever builds
the runner (`eval/periodic.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sf_core.cfg.config import Config


@dataclass(frozen=True)
class Evaluated:
    """The result of one evaluation.

    Attributes:
        env_steps: env steps behind the weights that were evaluated.
        result: as `sf-eval --json` prints it.
        is_best: its checkpoint became the best one.
    """

    env_steps: int
    result: Mapping[str, Any]
    is_best: bool = False

    def scalars(self) -> dict[str, float]:
        """By TensorBoard tag."""
        result = self.result
        return {
            **{f"eval/{name}": value for name, value in result["extra_stats"].items()},
            "eval/reward": result["reward_mean"],
            **{f"eval/reward_{name}": result[f"reward_{name}"] for name in ("std", "min", "max")},
            "eval/len": result["length_mean"],
        }

    def to_json(self) -> dict[str, Any]:
        """For `metrics.jsonl` and `result.json`."""
        return {**self.result, "is_best": self.is_best}


class Evaluations(Protocol):
    """One run's; the calls come in this order."""

    @property
    def last(self) -> Evaluated | None:
        """The newest result of this process."""

    def begin(self, cfg: Config, directory: Path, checkpoints: Path, env_steps: int) -> None:
        """The run begins at `env_steps`, in the folder `directory` that has its checkpoints in `checkpoints`."""

    def wants_checkpoint(self, env_steps: int) -> bool:
        """True once where one is due: a checkpoint is to be saved for it."""

    def checkpoint_saved(self, path: Path) -> None:
        """A checkpoint is complete on disk."""

    def finished(self) -> Evaluated | None:
        """A result that has come in since the last call. Cheap enough for every step."""

    def finish(self, newest: Path | None) -> Iterator[Evaluated]:
        """The run has reached its goal: results that are still to come, that of `newest`, its last checkpoint, last."""

    def abandon(self) -> None:
        """End what is under way. A second call does nothing."""


class NoEvaluations:
    """Of a run that asked for none."""

    last: Evaluated | None = None

    def begin(self, cfg: Config, directory: Path, checkpoints: Path, env_steps: int) -> None:
        """Nothing."""

    def wants_checkpoint(self, env_steps: int) -> bool:
        """Never."""
        return False

    def checkpoint_saved(self, path: Path) -> None:
        """Nothing."""

    def finished(self) -> Evaluated | None:
        """None."""
        return None

    def finish(self, newest: Path | None) -> Iterator[Evaluated]:
        """Nothing."""
        return iter(())

    def abandon(self) -> None:
        """Nothing."""
