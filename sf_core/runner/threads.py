"""How many threads acting and learning are worth.

In: a network, sizes of batches, threads at hand. Out: two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

_PRODUCTS_PER_THREAD = 1e8
"""Multiply-adds of one call from which another thread pays for being woken and waited for (measured on two cores)."""


@dataclass(frozen=True)
class ThreadBudget:
    """Threads torch uses while acting and while learning. Both are fixed for a run, so that its results are, too."""

    inference: int
    learner: int

    def use_for_inference(self) -> None:
        """Called when a rollout begins."""
        torch.set_num_threads(self.inference)

    def use_for_learner(self) -> None:
        """Called when a training iteration begins."""
        torch.set_num_threads(self.learner)


def thread_budget(network: nn.Module, num_threads: int, *, acting_rows: int, minibatch_rows: int) -> ThreadBudget:
    """How many of `num_threads` a network is worth, for batches of these sizes.

    Small matrices are multiplied faster by one thread than two can agree on sharing them; where other processes want
    the same cores, the threads wait for each other and a policy of two small layers acts ten times more slowly.
    Convolutions always have enough work.
    """
    if any(isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) for module in network.modules()):
        return ThreadBudget(num_threads, num_threads)
    weights = sum(parameter.numel() for parameter in network.parameters())

    def worth(rows: int) -> int:
        return max(1, min(num_threads, round(rows * weights / _PRODUCTS_PER_THREAD)))

    return ThreadBudget(worth(acting_rows), worth(minibatch_rows))
