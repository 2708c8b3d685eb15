"""A policy whose answers are known beforehand, for the counting envs of `fakes.py`.

In: observations `(env_id, episode, step)` and a state. Out: answers that are plain functions of both. Not known here:
networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sf_core.envs.spaces import ActionPart


@dataclass(frozen=True, slots=True)
class CountingPolicyOutput:
    """The fields of a policy's output."""

    action: dict[str, Tensor]  # part -> [B, *part]
    action_logits: Tensor  # [B, P]
    log_prob: Tensor  # [B]
    value: Tensor  # [B]
    rnn_state: Tensor  # [B, H]


def counting_value(env_id: Any, episode: Any, step: Any, state: Any = 0.0) -> Any:
    """V of an observation, and of how many steps its state remembers; for numbers, arrays and tensors."""
    return 0.5 + 0.25 * env_id - 0.125 * episode + 0.375 * step + 0.0625 * step * step + 0.03125 * state


class CountingPolicy:
    """Acts by the step number; its state counts the steps since it was last zero.

    Args:
        action_parts: parts of the action space; an action is `step` in every element.
        num_action_parameters: P.
        rnn_size: H; 0 for no memory.
    """

    def __init__(
        self, action_parts: Sequence[ActionPart], num_action_parameters: int, rnn_size: int = 1, policy_version: int = 7
    ) -> None:
        self.device = torch.device("cpu")
        self.rnn_size = rnn_size
        self.policy_version = policy_version
        self._parts = tuple(action_parts)
        self._num_action_parameters = num_action_parameters

    def act_batch(
        self,
        observation: Mapping[str, Tensor],
        rnn_state: Tensor,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
    ) -> CountingPolicyOutput:
        """Actions for a batch: choice `step % size` of discrete parts, `step` of boxes."""
        step = _count(observation)[:, 2]  # [B]
        action = {}
        for part in self._parts:
            number = step % part.sizes[0] if part.sizes else step
            full = number.reshape(-1, *[1] * len(part.shape)).expand(-1, *part.shape)
            action[part.name] = full.to(torch.int64 if part.kind == "discrete" else torch.float32)
        return CountingPolicyOutput(
            action=action,
            action_logits=step[:, None] + torch.arange(self._num_action_parameters),
            log_prob=-0.5 - 0.01 * step,
            value=self.value_batch(observation, rnn_state),
            rnn_state=rnn_state + 1.0,
        )

    def value_batch(self, observation: Mapping[str, Tensor], rnn_state: Tensor) -> Tensor:
        """`counting_value` of a batch, [B]."""
        env_id, episode, step = _count(observation).unbind(1)
        state = rnn_state[:, 0] if self.rnn_size else torch.zeros_like(step)
        value: Tensor = counting_value(env_id, episode, step, state)
        return value


def _count(observation: Mapping[str, Tensor]) -> Tensor:
    return observation["obs"] if "obs" in observation else observation["count"]  # [B, 3]
