"""A range of real numbers offered to the policy as a few choices.

In: a choice. Out: the number it stands for. The env does the conversion; to everybody else this is a `Discrete` space.
"""

from __future__ import annotations

from gymnasium import spaces


class Discretized(spaces.Discrete):
    """`n` evenly spaced numbers from `min_action` to `max_action`, ends included.

    Args:
        n: at least 2.
        min_action: what choice 0 stands for.
        max_action: what choice n - 1 stands for.

    Raises:
        ValueError: fewer than two choices.
    """

    def __init__(self, n: int, min_action: float, max_action: float) -> None:
        if n < 2:
            raise ValueError(f"Discretized needs 2 choices or more, not {n}")
        super().__init__(n)
        self.min_action = min_action
        self.max_action = max_action

    def to_continuous(self, discrete_action: int) -> float:
        """min + i (max - min) / (n - 1)."""
        return self.min_action + int(discrete_action) * (self.max_action - self.min_action) / (int(self.n) - 1)
