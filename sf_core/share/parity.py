"""Does an exported policy do what the policy does? Both are asked on random inputs.

In: a policy, and a function of named arrays that is said to be one step of it. Out: how far they are apart. Does not
know formats or files.

Differences are absolute below one and relative above. A discrete action differs by as much as it is less probable than
the best one, so that a tie of two actions is no error; rounding of whole numbers is forgiven likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from sf_core.envs.spaces import action_leaves, is_action_mask, observation_spaces
from sf_core.model.layers import module_name
from sf_core.model.normalizer import EPSILON, RunningMeanStd
from sf_core.model.policy import Policy
from sf_core.share.exported_step import (
    ACTION_LOGITS,
    NEXT_RNN_STATE,
    RNN_STATE,
    VALUE,
    SamplingLogits,
    action_name,
    observation_name,
)
from sf_core.share.formats import Run

_BATCH_SIZES = (1, 8)
_NUM_STEPS = 3  # each with the state that the step before left
_LARGE = 1e3  # a bound beyond it says that there is none, as in ±3.4e38


@dataclass(frozen=True)
class Parity:
    """How far the exported policy is from the policy.

    Attributes:
        num_inputs: rows compared.
        difference: the largest of each output, by name.
        signature: of each input and output: its dtype, and its shape without the batch axis.
    """

    num_inputs: int
    difference: dict[str, float]
    signature: dict[str, tuple[str, tuple[int, ...]]]

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return max(self.difference.values())


def compare(policy: Policy, run: Run, seed: int = 0) -> Parity:
    """Ask both for a few steps, with one row and with several.

    Args:
        policy: on the CPU.
        run: `{input name: array}` to `{output name: array}`.
        seed: of the inputs.
    """
    rng = np.random.default_rng(seed)
    difference: dict[str, float] = {}
    signature: dict[str, tuple[str, tuple[int, ...]]] = {}
    for num_rows in _BATCH_SIZES:
        state = torch.zeros(num_rows, policy.rnn_size)
        for _ in range(_NUM_STEPS):
            observation = random_observation(policy, num_rows, rng)
            inputs = {name: tensor.numpy() for name, tensor in named_inputs(observation, state).items()}
            compared = _Compared(policy, observation, state)
            outputs = run(inputs)
            for name, found in compared.differences(outputs).items():
                difference[name] = max(found, difference.get(name, 0.0))
            signature = {name: (array.dtype.name, array.shape[1:]) for name, array in {**inputs, **outputs}.items()}
            state = compared.output.rnn_state
    return Parity(sum(_BATCH_SIZES) * _NUM_STEPS, difference, signature)


def named_inputs(observation: Mapping[str, Tensor], rnn_state: Tensor) -> dict[str, Tensor]:
    """What `ExportedStep` takes."""
    return {**{observation_name(key): x for key, x in observation.items()}, RNN_STATE: rnn_state}


def random_observation(policy: Policy, num_rows: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Raw observations `{key: [N, *space]}`: from the space, every other row where training has seen them."""
    observation = {}
    for key, space in observation_spaces(policy.observation_space).items():
        space.seed(int(rng.integers(2**31)))
        array = np.stack([np.asarray(space.sample(), dtype=space.dtype) for _ in range(num_rows)])
        if is_action_mask(key):
            array = rng.integers(2, size=array.shape).astype(space.dtype)
        elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
            noise = rng.standard_normal(array.shape)
            array = np.where(np.abs(array) > _LARGE, noise, array)
            statistics = dict(policy.actor_critic.obs_normalizer.running.items()).get(module_name(key))
            if isinstance(statistics, RunningMeanStd):
                seen = statistics.mean.numpy() + 2 * (statistics.var + EPSILON).sqrt().numpy() * noise
                array[::2] = seen[::2]
            array = np.clip(array, space.low, space.high).astype(space.dtype)
        observation[key] = torch.as_tensor(array)
    return observation


class _Compared:
    """What a policy says about a batch, and how far others are from it."""

    def __init__(self, policy: Policy, observation: Mapping[str, Tensor], state: Tensor) -> None:
        self.policy = policy
        self.output = policy.act_batch(observation, state, deterministic=True)
        self.distribution = policy.distribution(observation, self.output.action_logits)

    def differences(self, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Of each output by name, all actions together."""
        expected = {
            ACTION_LOGITS: SamplingLogits(self.policy.layout)(self.distribution),
            VALUE: self.output.value,
            NEXT_RNN_STATE: self.output.rnn_state,
        }
        found = {name: float(_distance(outputs[name], tensor.numpy()).max()) for name, tensor in expected.items()}
        return {"action": self._of_actions(outputs), **found}

    def _of_actions(self, outputs: Mapping[str, np.ndarray]) -> float:
        worst, chosen = 0.0, dict(self.output.action)
        for part, leaf in zip(self.policy.layout.parts, action_leaves(self.policy.action_space).values(), strict=True):
            action = outputs[action_name(part.name)]
            if part.kind == "box":
                exact = np.clip(chosen[part.name].double().numpy(), part.low, part.high)
                forgiven = 0.5 if np.issubdtype(leaf.dtype, np.integer) else 0.0
                worst = max(worst, float(_distance(action, exact).max()) - forgiven)
            else:
                choice = action.astype(np.int64) - part.start
                if choice.shape != chosen[part.name].shape or ((choice < 0) | (choice > part.high)).any():
                    return float("inf")
                chosen[part.name] = torch.as_tensor(choice)
        best, found = self.distribution.log_prob(self.output.action), self.distribution.log_prob(chosen)
        return max(worst, float((best - found).max()))


def _distance(x: np.ndarray, expected: np.ndarray) -> np.ndarray:
    if x.shape != expected.shape:
        return np.array([np.inf])
    x, expected = x.astype(np.float64), expected.astype(np.float64)
    relative: np.ndarray = np.abs(x - expected) / np.maximum(1.0, np.abs(expected))
    return np.where(np.isnan(relative), np.inf, relative)
