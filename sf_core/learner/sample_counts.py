"""What became of the samples of one or several training iterations: trained on, or masked and why; how old they were.

In: counts. Out: their sums, and the spread of the policy lag. Plain Python: whoever reports it needs no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """Each row of the batches is counted once.

    Attributes:
        trained: rows that losses and statistics saw.
        stale: real steps, but of weights `--max_policy_lag` or more optimizer steps ago.
        reset_only: rows after the end of an episode, in which the env only reset and ignored its action.
        inactive: an agent sat the step out.
        other_policy: another policy played.
        policy_lag: optimizer steps between behaviour and learner at the iteration's start -> number of real steps.
    """

    trained: int = 0
    stale: int = 0
    reset_only: int = 0
    inactive: int = 0
    other_policy: int = 0
    policy_lag: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: SampleCounts) -> SampleCounts:
        """Both together."""
        return SampleCounts(
            self.trained + other.trained,
            self.stale + other.stale,
            self.reset_only + other.reset_only,
            self.inactive + other.inactive,
            self.other_policy + other.other_policy,
            Counter(self.policy_lag) + Counter(other.policy_lag),
        )

    def by_fate(self) -> dict[str, int]:
        """`samples_trained`, and one number for each reason not to."""
        return {
            "samples_trained": self.trained,
            "samples_stale": self.stale,
            "samples_reset_only": self.reset_only,
            "samples_inactive": self.inactive,
            "samples_other_policy": self.other_policy,
        }


@dataclass(frozen=True, slots=True)
class LagSpread:
    """The policy lag of real steps, in optimizer steps; NaN where there were none.

    Attributes:
        histogram: lag -> steps, ascending.
    """

    minimum: float
    mean: float
    maximum: float
    histogram: Mapping[int, int]

    @classmethod
    def of(cls, policy_lag: Mapping[int, int]) -> LagSpread:
        """From lag -> number of steps."""
        histogram = dict(sorted(policy_lag.items()))
        total = sum(histogram.values())
        if not total:
            return cls(math.nan, math.nan, math.nan, {})
        mean = sum(lag * count for lag, count in histogram.items()) / total
        return cls(min(histogram), mean, max(histogram), histogram)
