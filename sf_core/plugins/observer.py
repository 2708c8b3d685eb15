"""The base class of training observers: no-op methods, so that authors get completion and override what they need.

An observer lives in the process of the runner. The runner calls each one on its own: an exception is logged with the
plugin's name, that observer is switched off and training goes on, unless it is declared `critical`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class RunView(Protocol):
    """What an observer may use of the run; nothing else is public."""

    cfg: Any
    plan: Any
    directory: Path

    @property
    def metrics(self) -> Mapping[str, float]:
        """Newest scalars by their TensorBoard tag."""

    def env_steps(self, policy_id: int = 0) -> int:
        """Environment steps that `policy_id` has learned from so far."""

    def request_checkpoint(self) -> None:
        """Ask for a checkpoint at the next opportunity."""

    def request_stop(self, reason: str) -> None:
        """Ask the run to end cleanly."""


class EpisodeView(Protocol):
    """One finished episode."""

    @property
    def agent(self) -> int:
        """Index of the agent among all agents of the run."""

    @property
    def reward(self) -> float:
        """Raw undiscounted return."""

    @property
    def length(self) -> int:
        """Agent steps."""

    @property
    def extra_stats(self) -> Mapping[str, float]:
        """`info["episode_extra_stats"]` of the last step."""


class TrainingObserver:
    """Watches a run. Every method may be overridden, none must be."""

    def __init__(self, cfg: Any = None) -> None:
        """An observer is built with the configuration of the run."""

    def on_start(self, run: RunView) -> None:
        """All parts of the run are up."""

    def on_episodes(self, run: RunView, policy_id: int, stats: Sequence[EpisodeView]) -> None:
        """Episodes finished since the last call, at least one."""

    def on_train_step(self, run: RunView, policy_id: int, stats: Mapping[str, float]) -> None:
        """One training iteration is done; `stats` holds its scalars by tag: `train/loss`, `train/lr`, ..."""

    def summaries(self, run: RunView, policy_id: int, env_steps: int) -> Mapping[str, float] | None:
        """Further scalars for the run's summaries, or None."""
        return None

    def on_report(self, run: RunView, policy_id: int, env_steps: int, scalars: Mapping[str, float]) -> None:
        """Metrics were written: `scalars` are all of them by tag, those of observers included."""

    def on_checkpoint(self, run: RunView, policy_id: int, path: Path) -> None:
        """A checkpoint was written to `path`."""

    def on_stop(self, run: RunView, status: Any) -> None:
        """The run ended with `status` (`ExperimentStatus`)."""
