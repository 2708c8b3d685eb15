"""What is reported of one training iteration.

In: what every minibatch left on the device. Out: one row of numbers per minibatch, taken for all of them at once, since
on small minibatches a number each would cost as much as the gradient; and `UpdateStats`, read back at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sf_core.learner.losses import LossTerms, clip_range, masked_mean
from sf_core.learner.sample_counts import SampleCounts

# How the minibatches of one iteration become one number. Skipped minibatches are left out.
_REDUCTIONS = {
    "policy_loss": "mean",
    "value_loss": "mean",
    "exploration_loss": "mean",
    "kl_loss": "mean",
    "loss": "mean",
    "entropy": "mean",
    "value": "mean",
    "kl_divergence": "mean",
    "kl_divergence_max": "max",
    "ratio_mean": "mean",
    "ratio_min": "min",
    "ratio_max": "max",
    "fraction_clipped": "mean",
    "value_delta": "mean",
    "value_delta_max": "max",
    "adv_mean": "mean",
    "adv_std": "mean",
    "adv_min": "min",
    "adv_max": "max",
    "max_abs_logprob": "max",
    "grad_norm": "mean",
    "applied": "sum",
}
MINIBATCH_STATS = tuple(_REDUCTIONS)
_REDUCE: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "max": np.max, "min": np.min, "sum": np.sum}

# Sample Factory's tags where they differ from the name of the field.
_TAGS = {
    "valid_fraction": "valids_fraction",
    "policy_lag_min": "version_diff_min",
    "policy_lag_mean": "version_diff_avg",
    "policy_lag_max": "version_diff_max",
    "num_optimizer_steps": "num_sgd_steps",
}


@dataclass(frozen=True, slots=True)
class UpdateStats:
    """One training iteration in numbers. Means run over its minibatches; values and targets are in head units.

    Attributes:
        policy_loss: clipped surrogate.
        value_loss: coefficient applied.
        exploration_loss: coefficient applied.
        kl_loss: coefficient applied.
        loss: their sum.
        entropy: mean entropy of the target policy, nats.
        value: mean of the value head.
        kl_divergence: mean KL(target ‖ behaviour), nats.
        kl_divergence_max: largest of one sample, nats.
        ratio_mean: mean of |1 - importance ratio| (Sample Factory's meaning of the tag).
        ratio_min: smallest importance ratio.
        ratio_max: largest importance ratio.
        fraction_clipped: samples outside the clip range.
        value_delta: mean |V - behaviour's V|.
        value_delta_max: largest of it.
        adv_mean: of the advantages before normalisation, reward units.
        adv_std: unbiased.
        adv_min: smallest.
        adv_max: largest.
        max_abs_logprob: largest parameter of an action distribution.
        grad_norm: joint L2 norm before clipping.
        lr: learning rate that the next iteration begins with, so a decay to zero ends with zero here.
        actual_lr: learning rate that this iteration began with.
        policy_lag_min: optimizer steps between behaviour and learner at the iteration's start, over its valid rows.
        policy_lag_mean: see above.
        policy_lag_max: see above.
        valid_fraction: rows trained on.
        same_policy_fraction: rows that this policy produced.
        num_optimizer_steps: of this iteration, skipped ones left out.
        skipped_updates: of this iteration, because something was not finite.
        agent_steps: valid transitions in this iteration.
        act_min: smallest number in an action, as the policy chose it (a choice, counted from 0, or a real number).
        act_max: largest one.
        culprits: what was not finite; empty when nothing was skipped for that reason.
        samples: how many rows were trained on, why the others were not, and how old they were.
        inner: what optimizer and normalisers remember (`inner_state`), by name.
    """

    policy_loss: float
    value_loss: float
    exploration_loss: float
    kl_loss: float
    loss: float
    entropy: float
    value: float
    kl_divergence: float
    kl_divergence_max: float
    ratio_mean: float
    ratio_min: float
    ratio_max: float
    fraction_clipped: float
    value_delta: float
    value_delta_max: float
    adv_mean: float
    adv_std: float
    adv_min: float
    adv_max: float
    max_abs_logprob: float
    grad_norm: float
    lr: float
    actual_lr: float
    policy_lag_min: float
    policy_lag_mean: float
    policy_lag_max: float
    valid_fraction: float
    same_policy_fraction: float
    num_optimizer_steps: int
    skipped_updates: int
    agent_steps: int
    act_min: float = float("nan")
    act_max: float = float("nan")
    culprits: tuple[str, ...] = ()
    samples: SampleCounts = field(default_factory=SampleCounts)
    inner: dict[str, float] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        """Everything that is a number under Sample Factory's tags, `train/loss` and so on.

        Averages that no minibatch contributed to are left out, and the count of steps, which a run reports in total.
        """
        result = {f"train/{name}": value for name, value in self.inner.items()}
        for each in fields(self):
            value = getattr(self, each.name)
            # NaN: there was nothing to average
            if isinstance(value, int | float) and value == value and each.name != "agent_steps":
                result[f"train/{_TAGS.get(each.name, each.name)}"] = float(value)
        return result


class MinibatchSamples(NamedTuple):
    """The N samples of a minibatch, `[N]` each and detached; `[M, N]` for M minibatches."""

    valid: Tensor | None  # bool; None = all
    ratio: Tensor  # importance ratio
    entropy: Tensor  # nats
    kl: Tensor  # KL(target ‖ behaviour), nats
    value: Tensor  # units of the value head
    behaviour_value: Tensor  # units of the value head
    advantage: Tensor  # reward units, not normalised


class MinibatchRecord(NamedTuple):
    """What one optimizer step leaves behind."""

    losses: Tensor  # [5] policy, value, exploration, kl, total
    grad_norm: Tensor  # scalar, before clipping
    applied: Tensor  # scalar bool: the step was taken
    samples: MinibatchSamples

    @classmethod
    def of(
        cls, terms: LossTerms, total: Tensor, grad_norm: Tensor, applied: Tensor, samples: MinibatchSamples
    ) -> MinibatchRecord:
        """Keep the values, let the graph go."""
        with torch.no_grad():
            losses = torch.stack([terms.policy, terms.value, terms.exploration, terms.kl, total])
        return cls(losses, grad_norm, applied, samples)

    def policy_loss(self) -> Tensor:
        """Scalar."""
        return self.losses[0]

    def kl(self) -> Tensor:
        """Scalar, mean KL(target ‖ behaviour) of the valid samples, nats."""
        return masked_mean(self.samples.kl, self.samples.valid)


def mean_of_applied(records: Sequence[MinibatchRecord], scalar: Callable[[MinibatchRecord], Tensor]) -> float:
    """Mean of a `scalar` of each record over the steps that were taken; NaN without any. Waits for the device."""
    if not records:
        return float("nan")
    applied = torch.stack([record.applied for record in records])
    return float(torch.stack([scalar(record) for record in records])[applied].mean())


@torch.no_grad()
def describe_minibatches(records: Sequence[MinibatchRecord], clip_ratio: float, max_abs_logprob: Tensor) -> Tensor:
    """The numbers of M minibatches of N samples, `[M, len(MINIBATCH_STATS)]` in the order of that tuple.

    Args:
        records: all of the same N; the table has no row if there are none.
        clip_ratio: `--ppo_clip_ratio`.
        max_abs_logprob: scalar, largest parameter of the action distributions in the dataset.
    """
    if not records:
        return max_abs_logprob.new_zeros(0, len(MINIBATCH_STATS), dtype=torch.float32)
    ratio, entropy, kl, value, behaviour_value, advantage = (
        torch.stack(rows) for rows in zip(*(record.samples[1:] for record in records), strict=True)
    )
    masks = [record.samples.valid for record in records]
    valid = torch.stack([torch.ones_like(ratio[0], dtype=torch.bool) if mask is None else mask for mask in masks])
    count = valid.sum(1)  # [M]

    def mean(x: Tensor) -> Tensor:
        return torch.where(valid, x, 0.0).sum(1) / count.clamp(min=1)

    def largest(x: Tensor) -> Tensor:
        return torch.where(valid, x, -torch.inf).amax(1)

    def smallest(x: Tensor) -> Tensor:
        return torch.where(valid, x, torch.inf).amin(1)

    losses = torch.stack([record.losses for record in records])  # [M, 5]
    low, high = clip_range(clip_ratio)
    value_delta = (value - behaviour_value).abs()
    adv_mean = mean(advantage)
    adv_variance = mean((advantage - adv_mean[:, None]).square()) * count / (count - 1).clamp(min=1)
    columns = {
        "policy_loss": losses[:, 0],
        "value_loss": losses[:, 1],
        "exploration_loss": losses[:, 2],
        "kl_loss": losses[:, 3],
        "loss": losses[:, 4],
        "entropy": mean(entropy),
        "value": mean(value),
        "kl_divergence": mean(kl),
        "kl_divergence_max": largest(kl),
        "ratio_mean": mean((1 - ratio).abs()),
        "ratio_min": smallest(ratio),
        "ratio_max": largest(ratio),
        "fraction_clipped": mean(((ratio < low) | (ratio > high)).float()),
        "value_delta": mean(value_delta),
        "value_delta_max": largest(value_delta),
        "adv_mean": adv_mean,
        "adv_std": adv_variance.sqrt(),
        "adv_min": smallest(advantage),
        "adv_max": largest(advantage),
        "max_abs_logprob": max_abs_logprob.expand(len(records)),
        "grad_norm": torch.stack([record.grad_norm for record in records]),
        "applied": torch.stack([record.applied for record in records]),
    }
    return torch.stack([columns[name].float() for name in MINIBATCH_STATS], dim=1)


def reduce_minibatch_stats(table: Tensor) -> dict[str, float]:
    """One number per name for all rows of `table` `[M, names]`; NaN where every minibatch was skipped.

    This is where the host waits for the device.
    """
    rows = table.cpu().double().numpy()
    applied = rows[rows[:, MINIBATCH_STATS.index("applied")] > 0]
    if not len(applied):
        return {name: 0.0 if name == "applied" else float("nan") for name in MINIBATCH_STATS}
    return {name: float(_REDUCE[_REDUCTIONS[name]](applied[:, i])) for i, name in enumerate(MINIBATCH_STATS)}


def action_range(action: dict[str, Tensor], valid: Tensor) -> tuple[float, float]:
    """Smallest and largest number in `{part: [B, T, *part]}`, of the rows where `valid` `[B, T]`; NaN without any."""
    chosen = [x[valid].float() for x in action.values()]
    if not chosen[0].numel():
        return float("nan"), float("nan")
    return float(torch.stack([x.amin() for x in chosen]).amin()), float(torch.stack([x.amax() for x in chosen]).amax())
