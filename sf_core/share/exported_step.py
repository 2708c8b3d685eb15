"""One step of a policy as a function of named tensors, which is what can be exported.

In: observations as the env gives them, and the recurrent state. Out: the action as the env takes it, what to sample
from, the value, the next state. Normalisation, action masks and the units of actions and values are inside. This file
does not know formats or files.

    observation       [N, *space]; of a Dict or Tuple `observation/<key>` for each leaf, action masks included
    rnn_state         [N, H], zeros where an episode starts; without memory one number that nobody reads
    action            [N, *space], the most probable one; of a Dict or Tuple `action/<part>` for each leaf
    action_logits     [N, P], in the order of `logits_layout`
    value             [N], reward units
    next_rnn_state    [N, H]
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from sf_core.envs.spaces import LONE_ACTION, LONE_OBSERVATION, ActionPart, action_leaves, observation_spaces
from sf_core.envs.tensor_dtype import torch_dtype
from sf_core.model.action_distribution import ActionDistribution, ActionLayout
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.normalizer import FrozenMeanStd, RunningMeanStd
from sf_core.model.policy import Policy

RNN_STATE = "rnn_state"
ACTION_LOGITS = "action_logits"
VALUE = "value"
NEXT_RNN_STATE = "next_rnn_state"


def observation_name(key: str) -> str:
    """The input that an observation leaf is."""
    return "observation" if key == LONE_OBSERVATION else f"observation/{key}"


def action_name(part: str) -> str:
    """The output that an action part is."""
    return "action" if part == LONE_ACTION else f"action/{part}"


class ExportedStep(nn.Module):
    """`{input name: tensor}` to `{output name: tensor}`, with the weights and statistics that `policy` has now.

    Args:
        policy: on the CPU; it is copied.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        policy = copy.deepcopy(policy)
        _freeze_statistics(policy.actor_critic)
        self.actor_critic = policy.actor_critic.requires_grad_(False)  # registered: its weights are in what is exported
        self._policy = policy
        self._keys = {observation_name(key): key for key in observation_spaces(policy.observation_space)}
        leaves = action_leaves(policy.action_space)
        self._decoders = nn.ModuleList(_Decoder(part, leaves[part.name]) for part in policy.layout.parts)
        self._sampling_logits = SamplingLogits(policy.layout)

    @property
    def input_names(self) -> list[str]:
        """Of what it takes, in order."""
        return [*self._keys, RNN_STATE]

    @property
    def output_names(self) -> list[str]:
        """Of what it returns, in order."""
        return [*(action_name(part.name) for part in self._policy.layout.parts), ACTION_LOGITS, VALUE, NEXT_RNN_STATE]

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the top of this file."""
        observation = {key: inputs[name] for name, key in self._keys.items()}
        output = self._policy.act_batch(observation, inputs[RNN_STATE], deterministic=True)
        actions = [
            decoder(output.action[part.name])
            for part, decoder in zip(self._policy.layout.parts, self._decoders, strict=True)
        ]
        logits = self._sampling_logits(self._policy.distribution(observation, output.action_logits))
        return dict(zip(self.output_names, [*actions, logits, output.value, output.rnn_state], strict=True))


def logits_layout(layout: ActionLayout) -> list[dict[str, Any]]:
    """Where in `action_logits` each action part is found.

    Of discrete parts: `first`, and `sizes`, the number of choices of each element, one after the other; the logits are
    log-probabilities, those of illegal choices below -1e37. Of boxes: `first_mean` and `first_log_stddev`, `count` of
    each.
    """
    described: list[dict[str, Any]] = []
    position = 0
    for part in layout.parts:
        entry: dict[str, Any] = {"action": action_name(part.name), "kind": part.kind}
        if part.kind == "discrete":
            entry |= {"first": position, "sizes": list(part.sizes)}
        else:
            count = part.num_elements
            entry |= {"first_mean": position, "first_log_stddev": position + count, "count": count}
        described.append(entry)
        position += part.num_parameters
    return described


class _Decoder(nn.Module):
    """A stored action `[N, *part]` as the env takes it: `decode_action` for tensors."""

    low: Tensor
    high: Tensor
    start: Tensor

    def __init__(self, part: ActionPart, space: spaces.Space[Any]) -> None:
        super().__init__()
        self.is_box = part.kind == "box"
        self.is_whole = np.issubdtype(space.dtype, np.integer)
        self.dtype = torch_dtype(space.dtype)
        bounds_dtype = np.float64 if self.is_whole else space.dtype
        self.register_buffer("low", torch.tensor(np.asarray(part.low, bounds_dtype)))
        self.register_buffer("high", torch.tensor(np.asarray(part.high, bounds_dtype)))
        self.register_buffer("start", torch.tensor(part.start))

    def forward(self, stored: Tensor) -> Tensor:
        if not self.is_box:
            return (stored + self.start).to(self.dtype)
        value = stored.to(torch.float64).round() if self.is_whole else stored.to(self.dtype)
        return torch.minimum(torch.maximum(value, self.low), self.high).to(self.dtype)


class SamplingLogits(nn.Module):
    """A distribution over N rows as `[N, P]` in the layout of the action logits, masks and limits applied."""

    real: Tensor
    order: Tensor

    def __init__(self, layout: ActionLayout) -> None:
        super().__init__()
        indices = layout.indices(torch.device("cpu"))
        real = indices.real.reshape(-1).nonzero().squeeze(1)  # choices that are no padding
        self.register_buffer("real", real)
        found_at = torch.cat([indices.logit[real], indices.mean, indices.log_stddev])
        self.register_buffer("order", torch.argsort(found_at))

    def forward(self, distribution: ActionDistribution) -> Tensor:
        """Log-probabilities of choices, means and log-stddevs of boxes."""
        pieces = []
        if distribution.log_probs is not None:
            pieces.append(distribution.log_probs.flatten(1)[:, self.real])
        if distribution.mean is not None and distribution.log_stddev is not None:
            pieces += [distribution.mean, distribution.log_stddev]
        return torch.cat(pieces, dim=1)[:, self.order]


def _freeze_statistics(network: ActorCritic) -> None:
    network.obs_normalizer.in_place = False
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, RunningMeanStd):
                module.register_module(name, FrozenMeanStd(child))
