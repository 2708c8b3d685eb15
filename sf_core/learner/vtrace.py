"""V-trace: value targets corrected for the lag between behaviour and target policy.

In: time-major columns of a batch. Out: `Targets`. Pure function; does not know networks, normalisers or devices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sf_core.learner.targets import Targets, cuts, next_values, sum_backwards


def vtrace(
    reward: Tensor,
    value: Tensor,
    importance_ratio: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    valid: Tensor,
    episode_start: Tensor,
    final_value: Tensor,
    *,
    gamma: float,
    rho_bar: float,
    c_bar: float,
) -> Targets:
    """V-trace (Espeholt et al. 2018, eq. 1 and remark 1), with V of the row after the last as a real bootstrap.

        ρ_t  = min(ρ̄, π/μ)    c_t = min(c̄, π/μ)
        δ_t  = ρ_t (r_t + γ V_next(t) - V(s_t))
        vs_t = V(s_t) + δ_t + γ c_t (vs_next(t) - V_next(t))
        A_t  = r_t + γ vs_next(t) - V(s_t)

    The paper's policy gradient is ρ_t A_t ∇log π. Here A_t comes without ρ_t, because the clipped policy loss
    multiplies by the importance ratio itself and the weight must count once.

    Rows that are not valid are skipped as in `gae`. At an end vs_next = V_next = 0 (terminated) or the value of the
    final observation (truncated); see `targets.cuts`.

    Args:
        reward: [T, B] float.
        value: [T+1, B] the target policy's V(s_t) in reward units, row T being the bootstrap value.
        importance_ratio: [T, B] π(a|s) / μ(a|s).
        terminated: [T, B] bool.
        truncated: [T, B] bool.
        valid: [T, B] bool.
        episode_start: [T+1, B] bool.
        final_value: [T, B] in reward units.
        gamma: discount.
        rho_bar: ρ̄, decides what the values converge to.
        c_bar: c̄, decides how fast.

    Returns:
        Advantages and value targets, [T, B], 0 at rows that are not valid.
    """
    cut = cuts(value, terminated, truncated, valid, episode_start, final_value)
    rho = importance_ratio.clamp(max=rho_bar)
    c = importance_ratio.clamp(max=c_bar)
    next_value = next_values(value, cut, valid)  # [T, B]
    delta = rho * (reward + gamma * next_value - value[:-1])
    excess = sum_backwards(delta, gamma * c, cut, valid)  # vs - V
    next_excess = torch.cat([excess[1:], torch.zeros_like(excess[:1])])
    next_vs = next_value + torch.where(cut.ended, 0.0, next_excess)
    advantage = reward + gamma * next_vs - value[:-1]
    return Targets(torch.where(valid, advantage, 0.0), torch.where(valid, value[:-1] + excess, 0.0))
