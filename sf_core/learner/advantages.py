"""Generalised advantage estimation.

In: time-major columns of a batch. Out: advantages. Pure function; does not know networks, normalisers or devices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sf_core.learner.targets import cuts


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
    advantage = torch.zeros_like(reward)
    next_value = value[-1]  # [B]
    next_advantage = torch.zeros_like(next_value)
    zero = torch.zeros_like(next_value)
    for t in range(reward.shape[0] - 1, -1, -1):
        next_value = torch.where(cut.ended[t], cut.end_value[t], next_value)
        next_advantage = torch.where(cut.ended[t], zero, next_advantage)
        here = reward[t] + gamma * next_value - value[t] + gamma * lam * next_advantage
        advantage[t] = torch.where(valid[t], here, zero)
        # An invalid row hands on what came from behind it.
        next_value = torch.where(valid[t], value[t], next_value)
        next_advantage = torch.where(valid[t], here, next_advantage)
    return advantage
