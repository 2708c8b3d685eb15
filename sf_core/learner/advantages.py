"""Generalised advantage estimation.

In: time-major columns of a batch. Out: advantages. Pure function; does not know networks, normalisers or devices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sf_core.learner.targets import cuts, next_values, sum_backwards


def gae(
    reward: Tensor,
    value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    valid: Tensor,
    episode_start: Tensor,
    final_value: Tensor,
    *,
    gamma: float,
    lam: float,
) -> Tensor:
    """GAE(λ) on sequences with gaps (Schulman et al. 2016, eq. 11 and 16).

        δ_t = r_t + γ V_next(t) - V(s_t)
        A_t = δ_t + γ λ A_next(t)

    where `next(t)` is the next valid row of the same agent, or the bootstrap value after the last one. Rows that are
    not valid are skipped as if they were not there: the result equals GAE on the sequence with these rows taken out.
    At an end A_next = 0, and V_next is 0 (terminated) or the value of the final observation (truncated); see
    `targets.cuts`.

    Args:
        reward: [T, B] float.
        value: [T+1, B] V(s_t) in reward units, row T being the bootstrap value.
        terminated: [T, B] bool.
        truncated: [T, B] bool; `terminated` wins where both are set.
        valid: [T, B] bool.
        episode_start: [T+1, B] bool.
        final_value: [T, B] value of the final observation, in reward units.
        gamma: discount.
        lam: λ.

    Returns:
        [T, B] advantages in reward units, 0 at rows that are not valid.
    """
    cut = cuts(value, terminated, truncated, valid, episode_start, final_value)
    delta = reward + gamma * next_values(value, cut, valid) - value[:-1]  # [T, B]
    advantage = sum_backwards(delta, reward.new_tensor(gamma * lam), cut, valid)
    return torch.where(valid, advantage, 0.0)
