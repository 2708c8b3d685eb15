"""The loss of one minibatch, and what its samples came to.

In: what the policy says of a minibatch now, what it said when the data was collected, and the targets. Out: `LossTerms`
with gradients, and `MinibatchSamples` without, of which `update_stats.py` makes the numbers that are reported. Chooses
and weighs the formulas of `losses.py`; does not know optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sf_core.learner.losses import (
    LossTerms,
    entropy_loss,
    importance_ratio,
    kl_loss,
    normalise_advantage,
    policy_loss,
    symmetric_kl_loss,
    value_loss,
)
from sf_core.learner.segments import Segments
from sf_core.learner.update_stats import MinibatchSamples
from sf_core.model.policy import Evaluation


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Weights and limits of the loss, named as on the command line."""

    ppo_clip_ratio: float
    ppo_clip_value: float
    value_loss_coeff: float
    exploration_loss: str
    exploration_loss_coeff: float
    kl_loss_coeff: float

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> Coefficients:
        """Read them from the configuration."""
        return cls(**{name: cfg[name] for name in cls.__dataclass_fields__})


def minibatch_loss(
    evaluation: Evaluation, minibatch: Segments, advantage: Tensor, value_target: Tensor, coefficients: Coefficients
) -> tuple[LossTerms, MinibatchSamples]:
    """All terms of the loss on one minibatch of g segments of L steps.

    Args:
        evaluation: of the target policy on the minibatch.
        minibatch: g segments.
        advantage: [g, L] reward units, not normalised yet.
        value_target: [g, L] in the units of the value head.
        coefficients: weights and limits.

    Returns:
        The terms, and what they were made of, detached.
    """
    valid = None if minibatch.valid is None else minibatch.valid.flatten()  # [N], N = g * L
    value, behaviour_value = evaluation.value.flatten(), minibatch.behaviour_value.flatten()
    raw_advantage, value_target = advantage.flatten(), value_target.flatten()
    ratio = importance_ratio(evaluation.log_prob.flatten(), minibatch.behaviour_log_prob.flatten(), valid)
    distribution = evaluation.distribution
    behaviour = distribution.with_logits(minibatch.action_logits.flatten(0, 1))
    entropy = distribution.entropy()  # [N]
    with torch.set_grad_enabled(coefficients.kl_loss_coeff > 0):
        kl = distribution.kl_divergence(behaviour)  # [N]

    zero = value.new_zeros(())
    exploration = zero
    if coefficients.exploration_loss_coeff > 0:
        if coefficients.exploration_loss == "entropy":
            exploration = entropy_loss(entropy, valid, coefficient=coefficients.exploration_loss_coeff)
        else:
            # the boxes, which no uniform distribution covers, explore by their entropy
            exploration = symmetric_kl_loss(
                distribution.symmetric_kl_with_uniform(), valid, coefficient=coefficients.exploration_loss_coeff
            ) + entropy_loss(distribution.box_entropy(), valid, coefficient=coefficients.exploration_loss_coeff)
    terms = LossTerms(
        policy=policy_loss(
            ratio, normalise_advantage(raw_advantage, valid), valid, clip_ratio=coefficients.ppo_clip_ratio
        ),
        value=value_loss(
            value,
            behaviour_value,
            value_target,
            valid,
            clip_value=coefficients.ppo_clip_value,
            coefficient=coefficients.value_loss_coeff,
        ),
        exploration=exploration,
        kl=kl_loss(kl, valid, coefficient=coefficients.kl_loss_coeff) if coefficients.kl_loss_coeff > 0 else zero,
    )
    samples = MinibatchSamples(
        valid=valid,
        ratio=ratio.detach(),
        entropy=entropy.detach(),
        kl=kl.detach(),
        value=value.detach(),
        behaviour_value=behaviour_value,
        advantage=raw_advantage,
    )
    return terms, samples
