"""Inference for tensor envs: answers requests without leaving the device.

In: requests that name rows of `TensorBuffers`, and a policy on the same device. Out: inference's fields of these rows.
Not known here: envs, what is learned.

The counterpart of `inference_worker.py`, for the one group there is: the running state of row n is that of env n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sf_core.rollout.tensor_buffers import TensorBuffers
from sf_core.sampler.tensor_group import TensorRequest

if TYPE_CHECKING:
    from sf_core.model.policy import Policy


class TensorInference:
    """Answers for all envs of one policy.

    Args:
        policy: who acts.
        buffers: where requests point to and answers go.
        num_agents: rows of a request, whose recurrent state is kept.
        generator: where samples are drawn from; None is torch's own.
    """

    def __init__(
        self, policy: Policy, buffers: TensorBuffers, num_agents: int, *, generator: torch.Generator | None = None
    ) -> None:
        self._policy = policy
        self._buffers = buffers
        self._generator = generator
        self._rnn_state = torch.zeros(num_agents, policy.rnn_size, device=buffers.device)  # [N, H]
        self._approximate = torch.zeros((), dtype=torch.int64, device=buffers.device)

    @property
    def approximate_bootstraps(self) -> int:
        """Truncations so far whose final observation the env discarded; waits for the device."""
        return int(self._approximate)

    @torch.no_grad()
    def answer(self, requests: Sequence[TensorRequest]) -> None:
        """Answer requests: final values first, then actions, or what completes a full rollout."""
        for request in requests:
            self._answer_final(request)
            state = self._entering_state(request)  # [N, H]
            if request.t < self._buffers.rollout:
                self._act(request, state)

    def _act(self, request: TensorRequest, state: Tensor) -> None:
        buffers, index, t = self._buffers, request.index, request.t
        observation = {key: x[index, t] for key, x in buffers.observation.items()}  # [N, *space]
        output = self._policy.act_batch(observation, state, generator=self._generator)
        for part, x in buffers.action.items():
            x[index, t] = output.action[part].to(x.dtype)
        buffers.action_logits[index, t] = output.action_logits
        buffers.behaviour_log_prob[index, t] = output.log_prob
        buffers.behaviour_value[index, t] = output.value
        buffers.policy_version[index, t] = self._policy.policy_version
        self._rnn_state.copy_(output.rnn_state)

    def _answer_final(self, request: TensorRequest) -> None:
        """`final_value` of the step before, where it truncated and the env reset at once."""
        buffers, index, t = self._buffers, request.index, request.t - 1
        if request.approximate is not None:
            stand_in = torch.where(
                request.approximate, buffers.behaviour_value[index, t], buffers.final_value[index, t]
            )
            buffers.final_value[index, t] = stand_in
            self._approximate += request.approximate.sum()
        if request.final_observation is not None and request.final_rows is not None:
            rows = request.final_rows.nonzero().squeeze(1)  # waits for the device: most steps end no episode
            if len(rows):
                observation = {key: x[rows] for key, x in request.final_observation.items()}
                values = buffers.final_value[index, t]
                values[rows] = self._policy.value_batch(observation, self._rnn_state[rows])
                buffers.final_value[index, t] = values

    def _entering_state(self, request: TensorRequest) -> Tensor:
        """The running state, zero where an episode starts; written where a segment starts, and at row T."""
        buffers, index, t = self._buffers, request.index, request.t
        state = self._rnn_state.masked_fill(buffers.episode_start[index, t].unsqueeze(-1), 0.0)
        if t % buffers.recurrence == 0:
            buffers.rnn_state[index, t // buffers.recurrence] = state
        return state
