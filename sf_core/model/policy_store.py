"""The newest published weights, between processes.

In: a policy after each training iteration. Out: the same weights in the policies of other processes. A lock stands
between writing and reading, so no version is ever seen half-written; whether there is a newer one is asked without it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from sf_core.model.policy import Policy
from sf_core.model.weight_table import Weight, WeightArrays


def weight_table(policy: Policy) -> tuple[Weight, ...]:
    """Every weight of a policy, sorted by name."""
    return tuple(
        Weight(name, tuple(tensor.shape), str(tensor.numpy().dtype)) for name, tensor in policy.weights().items()
    )


class PolicyStore:
    """Weights in shared memory.

    Args:
        weights: arrays that every process maps.
        lock: a context that excludes the others, with `exclusive=True` also readers.
    """

    def __init__(self, weights: WeightArrays, lock: Callable[..., AbstractContextManager[None]]) -> None:
        self._version = weights.version
        self._lock = lock
        self._tensors = {name: torch.from_numpy(array) for name, array in weights.arrays.items()}

    @property
    def policy_version(self) -> int:
        """Of the newest weights; -1 before the first `publish`."""
        return int(self._version[0]) - 1

    @torch.no_grad()
    def publish(self, policy: Policy) -> None:
        """Make the present weights of `policy` the newest ones."""
        weights = policy.actor_critic.state_dict()
        with self._lock(exclusive=True):
            for name, tensor in self._tensors.items():
                tensor.copy_(weights[name])
            self._version[0] = policy.policy_version + 1

    @torch.no_grad()
    def fetch_if_newer(self, policy: Policy) -> bool:
        """Bring `policy` up to date; True if its weights changed."""
        if self._version[0] - 1 == policy.policy_version:
            return False
        weights = policy.actor_critic.state_dict()
        with self._lock(exclusive=False):
            for name, tensor in self._tensors.items():
                weights[name].copy_(tensor)
            policy.policy_version = self.policy_version
        return True
