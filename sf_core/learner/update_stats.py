"""What is reported of one training iteration.

In: one small tensor of numbers per minibatch, left on the device. Out: `UpdateStats`, read back once at the end. Does
not know how any of the numbers came about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
    culprits: tuple[str, ...] = ()
    samples: SampleCounts = field(default_factory=SampleCounts)
    inner: Mapping[str, float] = field(default_factory=dict)

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


def stack_minibatch_stats(values: Mapping[str, Tensor]) -> Tensor:
    """The numbers of one minibatch as one tensor [len(MINIBATCH_STATS)] on their device, in the order of that tuple."""
    return torch.stack([values[name].detach().float() for name in MINIBATCH_STATS])


def reduce_minibatch_stats(rows: Sequence[Tensor]) -> dict[str, float]:
    """One number per name for the whole iteration; NaN where every minibatch was skipped.

    This is where the host waits for the device.
    """
    if not rows:
        return {name: 0.0 if name == "applied" else float("nan") for name in MINIBATCH_STATS}
    table = torch.stack(list(rows)).cpu().double().numpy()  # [minibatches, names]
    applied = table[table[:, MINIBATCH_STATS.index("applied")] > 0]
    if not len(applied):
        return reduce_minibatch_stats([])
    return {name: float(_REDUCE[_REDUCTIONS[name]](applied[:, i])) for i, name in enumerate(MINIBATCH_STATS)}
