"""Which rows of a batch count.

In: the bookkeeping columns of a batch. Out: two masks. Does not know values, losses or the policy's weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sf_core.learner.sample_counts import SampleCounts


@dataclass(frozen=True, slots=True)
class Validity:
    """Two answers to "does this row count?", both shaped like their inputs.

    `transition`: the row is a real step of this policy. Only these make up the sequence that advantages run along, and
    only these are counted as steps.
    `train`: the row is a real step of this policy and recent enough. Only these appear in losses and statistics. A
    stale row stays in the sequence: its reward was earned between its neighbours, and leaving it out would tell them
    otherwise.
    """

    transition: Tensor  # bool
    train: Tensor  # bool
    policy_lag: Tensor  # int64, optimizer steps


def validity(
    valid: Tensor, policy_id: Tensor, policy_version: Tensor, *, own_policy_id: int, learner_version: int, max_lag: int
) -> Validity:
    """Masks of one batch, all shaped [B, T] (any one shape will do).

    transition = valid and policy_id == own_policy_id
    train      = transition and learner_version - policy_version < max_lag      (Sample Factory's `--max_policy_lag`)

    The lag is taken once, when the training iteration begins.
    """
    transition = valid & (policy_id == own_policy_id)
    lag = learner_version - policy_version
    return Validity(transition, transition & (lag < max_lag), lag)


def count_samples(policy_id: Tensor, masks: Validity, *, own_policy_id: int) -> SampleCounts:
    """How many rows count, why the others do not, and the policy lag of the real ones."""
    policy_id, transition, train = (x.cpu() for x in (policy_id, masks.transition, masks.train))
    own = policy_id == own_policy_id
    inactive = policy_id < 0
    lags, counts = np.unique(masks.policy_lag.cpu()[transition].numpy(), return_counts=True)
    return SampleCounts(
        trained=int(train.sum()),
        stale=int((transition & ~train).sum()),
        reset_only=int((own & ~transition).sum()),
        inactive=int(inactive.sum()),
        other_policy=int((~own & ~inactive).sum()),
        policy_lag=dict(zip(lags.tolist(), counts.tolist(), strict=True)),
    )
