"""The parts limit: how fast a run could be if nothing but simulator, forward pass and gradient took time.

In: three rates. Out: one. See `docs/performance.md`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Rates of the whole machine, in agent steps (samples) per second, each measured alone.

    Attributes:
        env_rate: the simulator.
        forward_rate: acting.
        train_rate: gradients, per epoch.
        epochs: how often each sample is trained on.
    """

    env_rate: float
    forward_rate: float
    train_rate: float
    epochs: int

    def limit(self) -> float:
        """Agent steps per second where all three share the cores."""
        return 1 / (1 / self.env_rate + 1 / self.forward_rate + self.epochs / self.train_rate)

    def limit_with_accelerator(self) -> float:
        """Agent steps per second where the cores simulate, and an accelerator acts and learns meanwhile."""
        return min(self.env_rate, 1 / (1 / self.forward_rate + self.epochs / self.train_rate))


def median_parts(parts: Sequence[Parts]) -> Parts:
    """Each rate's median."""
    return Parts(
        statistics.median(one.env_rate for one in parts),
        statistics.median(one.forward_rate for one in parts),
        statistics.median(one.train_rate for one in parts),
        parts[0].epochs,
    )
