"""The inference worker: answers requests with actions, and keeps the recurrent state of every agent.

In: requests that name rows of the buffers, and a policy. Out: `action`, `action_logits`, `behaviour_log_prob`,
`behaviour_value`, `policy_version`, `rnn_state` and `final_value` in those rows. Not known here: envs, what is learned.

The running state is taken as zero where `episode_start` is set; nobody writes zeros. While an agent sits out, its state
stays what it is. A final observation is looked at with the state that its own episode left, before that is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.host_transfer import HostTransfer
from sf_core.rollout.slots import as_index
from sf_core.sampler.messages import InferenceRequest

if TYPE_CHECKING:
    from sf_core.model.policy import Policy


class InferenceWorker:
    """Answers for all agents of one policy.

    Args:
        policy: who acts; `act_batch`, `value_batch`, `rnn_size`, `device`, `policy_version` are used.
        buffers: where requests point to and answers go.
        num_agents: agents whose recurrent state is kept.
        deterministic: take the likeliest action instead of sampling.
        generator: where samples are drawn from; None is torch's own.

    Attributes:
        approximate_bootstraps: truncations so far whose final observation the env discarded.
    """

    def __init__(
        self,
        policy: Policy,
        buffers: RolloutBuffers,
        num_agents: int,
        *,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self._policy = policy
        self._buffers = buffers
        self._deterministic = deterministic
        self._generator = generator
        self._transfer = HostTransfer(torch.device(policy.device))
        self._rnn_state = torch.zeros(num_agents, policy.rnn_size, device=policy.device)  # [N, H]
        self.approximate_bootstraps = 0

    @property
    def rnn_state(self) -> torch.Tensor:
        """A copy of the running state of every agent, `[N, H]`."""
        return self._rnn_state.clone()

    @rnn_state.setter
    def rnn_state(self, state: torch.Tensor) -> None:
        self._rnn_state.copy_(state)

    @torch.no_grad()
    def answer(self, requests: Sequence[InferenceRequest]) -> None:
        """Answer requests together: final values first, then actions, or what completes a full rollout."""
        for request in requests:
            self._answer_final(request)
        for request in requests:
            if request.t == self._buffers.rollout:
                self._finish_rollout(request)
        acting = [request for request in requests if request.t < self._buffers.rollout]
        if acting:
            self._act(acting)

    def _act(self, requests: Sequence[InferenceRequest]) -> None:
        buffers = self._buffers
        slots = as_index(np.concatenate([request.slots for request in requests]))
        agents = as_index(np.concatenate([request.agents for request in requests]))
        t: int | np.ndarray = requests[0].t
        if any(request.t != t for request in requests):
            slots = np.concatenate([request.slots for request in requests])
            t = np.concatenate([np.full(len(request.slots), request.t) for request in requests])
        to_device = self._transfer.to_device
        observation = {
            key: to_device(key, array[slots, t]) for key, array in buffers.observation.items()
        }  # [B, *space]
        state = self._entering_state(agents, buffers.episode_start[slots, t])  # [B, H]
        output = self._policy.act_batch(
            observation, state, deterministic=self._deterministic, generator=self._generator
        )
        arrays = self._transfer.to_host(
            {**output.action, "/logits": output.action_logits, "/log_prob": output.log_prob, "/value": output.value}
        )
        for part, array in buffers.action.items():
            array[slots, t] = arrays[part]
        buffers.action_logits[slots, t] = arrays["/logits"]
        buffers.behaviour_log_prob[slots, t] = arrays["/log_prob"]
        buffers.behaviour_value[slots, t] = arrays["/value"]
        buffers.policy_version[slots, t] = self._policy.policy_version
        self._store_entering_states(requests, state)
        new_state = output.rnn_state.to(self._rnn_state.dtype)
        acts = buffers.policy_id[slots, t] >= 0  # [B]
        if not acts.all():
            new_state = torch.where(to_device("/acts", acts)[:, None], new_state, state)
        self._rnn_state[agents] = new_state

    def _answer_final(self, request: InferenceRequest) -> None:
        """`final_value` of the step before, where it truncated and the env reset at once."""
        buffers, t = self._buffers, request.t - 1
        if len(request.final_rows):
            agents = request.agents[request.final_rows]
            observation = {
                key: self._transfer.to_device(f"final/{key}", array[agents])
                for key, array in buffers.final_observation.items()
            }
            value = self._policy.value_batch(observation, self._rnn_state[agents])
            buffers.final_value[request.slots[request.final_rows], t] = _numpy(value)
        if len(request.approximate_rows):
            slots = request.slots[request.approximate_rows]
            buffers.final_value[slots, t] = buffers.behaviour_value[slots, t]
            self.approximate_bootstraps += len(slots)

    def _finish_rollout(self, request: InferenceRequest) -> None:
        """The state that enters row T; the running state itself goes on into the next rollout."""
        start = self._buffers.episode_start[as_index(request.slots), request.t]
        self._store_entering_states([request], self._entering_state(as_index(request.agents), start))

    def _entering_state(self, agents: slice | np.ndarray, episode_start: np.ndarray) -> torch.Tensor:
        starts = self._transfer.to_device("/starts", episode_start)  # [B]
        # not a product with 0: what one episode made of a NaN must not reach the next one
        return self._rnn_state[agents].masked_fill(starts[:, None], 0.0)  # [B, H]

    def _store_entering_states(self, requests: Sequence[InferenceRequest], state: torch.Tensor) -> None:
        """Write the rows of `rnn_state` at which a segment starts; `state` is in the order of the requests."""
        buffers, first = self._buffers, 0
        for request in requests:
            last = first + len(request.slots)
            if request.t % buffers.recurrence == 0:
                buffers.rnn_state[as_index(request.slots), request.t // buffers.recurrence] = _numpy(state[first:last])
            first = last


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
