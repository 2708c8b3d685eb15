"""What the processes of a run say to the runner and hear from it: a few records per rollout, never per step.

Not known here: how they travel, who acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sf_core.cfg.config import Config
from sf_core.envs.env_info import EnvInfo
from sf_core.learner.sample_counts import SampleCounts
from sf_core.model.weight_table import Weight
from sf_core.runner.layout import SharedLayout
from sf_core.sampler.messages import FinishedEpisode

# ---- from any process ----


@dataclass(frozen=True)
class Said:
    """A line for the log."""

    level: int
    text: str


@dataclass(frozen=True)
class Failed:
    """The process cannot go on; `usage` where the sentence holds a fix for the user."""

    sentence: str
    usage: bool
    trace: str


@dataclass(frozen=True)
class Up:
    """The process is ready for work."""


# ---- to any process ----


@dataclass(frozen=True)
class Attach:
    """Map the arrays and begin. `seed` is that of this continuation of the run."""

    layout: SharedLayout
    seed: int


# ---- rollout workers ----


@dataclass(frozen=True)
class Grant:
    """To a worker: fill these slots with the next rollout of a group; training has come as far as `env_steps`."""

    group: int
    slots: np.ndarray
    env_steps: int = 0


@dataclass(frozen=True)
class Filled:
    """From a worker: the rollout of a group is complete; these episodes ended meanwhile."""

    group: int
    episodes: list[FinishedEpisode]


@dataclass(frozen=True)
class EnvFailed:
    """From a worker: an env of the group raised; it was built anew, and its rollout is void."""

    group: int
    sentence: str
    trace: str


# ---- inference processes ----


@dataclass(frozen=True)
class Connect:
    """To an inference process: the connection that follows belongs to this worker."""

    worker: int


@dataclass(frozen=True)
class Gone:
    """From an inference process: this worker hung up, and everything it had asked was answered."""

    worker: int


# ---- the learner ----


@dataclass(frozen=True)
class Build:
    """To the learner (and inference): make the model for these spaces."""

    cfg: Config
    info: EnvInfo
    num_agents: int


@dataclass(frozen=True)
class Restored:
    """The checkpoint a run goes on from."""

    path: Path
    policy_version: int
    seconds: float
    best_performance: float | None
    episodes: Mapping[str, Any]
    counters: Mapping[str, int]
    exact_so_far: bool
    """No earlier continuation of the run began new episodes."""


@dataclass(frozen=True)
class Counters:
    """How far the learner is."""

    policy_version: int = 0
    env_steps: int = 0
    agent_steps: int = 0


@dataclass(frozen=True)
class Built:
    """From the learner: sizes of the model, and where it begins."""

    rnn_size: int
    weights: tuple[Weight, ...]
    counters: Counters
    restored: Restored | None


@dataclass(frozen=True)
class Train:
    """To the learner: one dataset."""

    slots: np.ndarray


@dataclass(frozen=True)
class Trained:
    """From the learner: a training iteration ended, its weights are published and its slots are free."""

    slots: np.ndarray
    counters: Counters
    scalars: dict[str, float]
    skipped_updates: int
    samples: SampleCounts


@dataclass(frozen=True)
class Finish:
    """To the learner: forget datasets that wait, and answer `Idle`."""


@dataclass(frozen=True)
class Idle:
    """From the learner: nothing is being trained any more."""


@dataclass(frozen=True)
class SaveRequest:
    """To the learner: save the present state. `facts` is what the run knows beside it."""

    kind: str  # latest, best or milestone
    facts: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    value: float = 0.0


@dataclass(frozen=True)
class Saved:
    """The answer; None where the disk was full."""

    path: Path | None
    policy_version: int
