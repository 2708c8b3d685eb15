"""The terms of the loss.

In: arrays of one minibatch and coefficients. Out: scalars. Every mean runs over the valid samples only (`valid` None:
all are, as in most minibatches, where masks would cost more than the loss) and, as every function here, works on arrays
of any one shape [N]. Does not know networks, optimizers or where the arrays came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIN_RATIO = 0.05  # Sample Factory's bounds: samples this far from the behaviour policy give no gradient
MAX_RATIO = 20.0
MIN_ADVANTAGE_STD = 1e-7
MAX_SYMMETRIC_KL = 30.0


@dataclass(frozen=True, slots=True)
class LossTerms:
    """Scalars with gradients, coefficients already applied."""

    policy: Tensor
    value: Tensor
    exploration: Tensor
    kl: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.policy + self.value + self.exploration + self.kl


def masked_mean(x: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of x [N] over valid [N]; 0 when nothing is valid.

    `where`, not a product: what stands in an invalid row may be NaN. No boolean indexing: its size would have to be
    read back from the device.
    """
    if valid is None:
        return x.mean()
    return torch.where(valid, x, 0.0).sum() / valid.sum().clamp(min=1)


def importance_ratio(target_log_prob: Tensor, behaviour_log_prob: Tensor, valid: Tensor | None) -> Tensor:
    """π(a|s) / μ(a|s) [N], limited to [0.05, 20]; 1 at invalid rows.

    Exactly 1, with the gradient of log π, where the target policy is the behaviour policy.
    """
    log_ratio = target_log_prob - behaviour_log_prob
    if valid is not None:
        log_ratio = torch.where(valid, log_ratio, 0.0)
    return log_ratio.exp().clamp(MIN_RATIO, MAX_RATIO)


def clip_range(clip_ratio: float) -> tuple[float, float]:
    """[1/(1+e), 1+e]: symmetric in log π, unlike the paper's [1-e, 1+e]. e = 0.1 gives [0.909, 1.1]."""
    return 1.0 / (1.0 + clip_ratio), 1.0 + clip_ratio


def normalise_advantage(advantage: Tensor, valid: Tensor | None) -> Tensor:
    """(A - mean) / max(std, 1e-7) over the valid samples [N], with the unbiased std; 0 at invalid rows.

    Needs two valid samples to mean anything; with fewer the result is finite and useless.
    """
    if valid is None:
        std, mean = torch.std_mean(advantage)
        return (advantage - mean) / std.clamp(min=MIN_ADVANTAGE_STD)
    count = valid.sum()
    advantage = torch.where(valid, advantage, 0.0)
    mean = advantage.sum() / count.clamp(min=1)
    centred = torch.where(valid, advantage - mean, 0.0)
    std = (centred.square().sum() / (count - 1).clamp(min=1)).sqrt()
    return centred / std.clamp(min=MIN_ADVANTAGE_STD)


def policy_loss(ratio: Tensor, advantage: Tensor, valid: Tensor | None, *, clip_ratio: float) -> Tensor:
    """Clipped surrogate, - mean min(ratio A, clip(ratio) A) (Schulman et al. 2017, eq. 7), on `clip_range`."""
    low, high = clip_range(clip_ratio)
    return -masked_mean(torch.minimum(ratio * advantage, ratio.clamp(low, high) * advantage), valid)


def value_loss(
    value: Tensor,
    behaviour_value: Tensor,
    value_target: Tensor,
    valid: Tensor | None,
    *,
    clip_value: float,
    coefficient: float,
) -> Tensor:
    """Coefficient * mean max((V - R)², (V_clipped - R)²), without a factor 1/2.

    V_clipped stays within `clip_value` of the behaviour's value (OpenAI baselines, `ppo2/model.py`). All three are in
    the units of the value head: normalised with the same statistics where returns are normalised.
    """
    clipped = behaviour_value + (value - behaviour_value).clamp(-clip_value, clip_value)
    error = torch.maximum((value - value_target).square(), (clipped - value_target).square())
    return coefficient * masked_mean(error, valid)


def entropy_loss(entropy: Tensor, valid: Tensor | None, *, coefficient: float) -> Tensor:
    """- coefficient * mean entropy (Williams and Peng 1991)."""
    return -coefficient * masked_mean(entropy, valid)


def symmetric_kl_loss(symmetric_kl: Tensor, valid: Tensor | None, *, coefficient: float) -> Tensor:
    """Coefficient * min(30, mean of ½[KL(π‖U) + KL(U‖π)]).

    The cap, with its zero gradient, and non-finite entries counted as 0 are Sample Factory's: the divergence from the
    uniform distribution U is infinite for a policy that has become certain.
    """
    mean = masked_mean(torch.where(symmetric_kl.isfinite(), symmetric_kl, 0.0), valid)
    return coefficient * mean.clamp(max=MAX_SYMMETRIC_KL)


def kl_loss(kl_divergence: Tensor, valid: Tensor | None, *, coefficient: float) -> Tensor:
    """Coefficient * mean KL(π‖μ), a fixed penalty (Schulman et al. 2017, eq. 8 with constant β)."""
    return coefficient * masked_mean(kl_divergence, valid)
