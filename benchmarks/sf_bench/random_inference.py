"""Answers requests at random, with numpy alone: what is left is the cost of sampling itself.

In: requests that name rows of the rollout buffers. Out: everything that inference writes there, as
`sf_core.sampler.inference_worker` does it, but for a policy that knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.slots import as_index
from sf_core.sampler.messages import InferenceRequest


class RandomInference:
    """A uniform choice among `num_actions`, for buffers of a single discrete action."""

    def __init__(self, buffers: RolloutBuffers, num_actions: int, seed: int = 0) -> None:
        self._buffers = buffers
        self._num_actions = num_actions
        self._log_prob = -np.log(num_actions)
        self._generator = np.random.default_rng(seed)

    def answer(self, requests: Sequence[InferenceRequest]) -> None:
        """Write actions for every request; one at row T has nothing left to write."""
        for request in requests:
            if request.t < self._buffers.rollout:
                self._act(as_index(request.slots), request.t, len(request.slots))

    def _act(self, slots: slice | np.ndarray, t: int, num_rows: int) -> None:
        buffers = self._buffers
        for array in buffers.action.values():
            array[slots, t] = self._generator.integers(0, self._num_actions, num_rows)
        buffers.action_logits[slots, t] = 0.0
        buffers.behaviour_log_prob[slots, t] = self._log_prob
        buffers.behaviour_value[slots, t] = 0.0
        buffers.policy_version[slots, t] = 0
