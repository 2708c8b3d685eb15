"""What the losses aim at: one advantage and one value target per row.

In: time-major columns of a batch. Out: `Targets`. Also what GAE and V-trace share: where a sequence is cut, which value
follows each row, and sums that run backwards over valid rows. Does not know networks or normalisers; every value is in
reward units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Targets:
    """Both in reward units, zero at rows that are not valid."""

    advantage: Tensor  # [T, B]
    value_target: Tensor  # [T, B]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where sequences end, and the value of what would have come next."""

    ended: Tensor  # [T, B] bool
    end_value: Tensor  # [T, B], meaningful where `ended`


def cuts(
    value: Tensor, terminated: Tensor, truncated: Tensor, valid: Tensor, episode_start: Tensor, final_value: Tensor
) -> Cuts:
    """Where the sequence is cut after row t, and the value that follows the cut.

    Args:
        value: [T+1, B] V(s_t); row T is the bootstrap value.
        terminated: [T, B] bool; the next value is 0.
        truncated: [T, B] bool; the next value is V(final observation). An env that resets in the same step has the new
            episode at row t+1 (`episode_start[t+1]`), and inference answered with `final_value[t]`. An env that resets
            in the next step has the final observation itself at row t+1, so the value is `value[t+1]`.
        valid: [T, B] bool.
        episode_start: [T+1, B] bool.
        final_value: [T, B], read only where a step truncated and the next row starts an episode.

    A row that is not valid and stands just before an episode's start cuts too, with its own value: whatever the rows
    before it were, they belong to another episode than the row after it.
    """
    starts_next = episode_start[1:]  # [T, B]
    after_truncation = torch.where(starts_next, final_value, value[1:])
    end_value = torch.where(truncated, after_truncation, value[:-1])
    end_value = torch.where(terminated, torch.zeros_like(end_value), end_value)  # terminated wins over truncated
    return Cuts(terminated | truncated | (~valid & starts_next), end_value)


def next_values(value: Tensor, cut: Cuts, valid: Tensor) -> Tensor:
    """V_next(t) [T, B]: the value of the next valid row of the same agent, or what stands after the cut.

    Args:
        value: [T+1, B], row T being the bootstrap value.
        cut: where sequences end.
        valid: [T, B] bool; rows that are not valid are skipped.
    """
    following = list(value[1:].unbind())  # [B] each
    if not bool(valid.all()):
        for t in range(len(following) - 1, 0, -1):
            behind = torch.where(cut.ended[t], cut.end_value[t], following[t])
            following[t - 1] = torch.where(valid[t], following[t - 1], behind)
    return torch.where(cut.ended, cut.end_value, torch.stack(following))


def sum_backwards(delta: Tensor, coefficient: Tensor, cut: Cuts, valid: Tensor) -> Tensor:
    """x_t = δ_t + coefficient_t x_next(t) [T, B], where x_next is 0 after a cut and after the last row.

    Args:
        delta: [T, B], read at valid rows.
        coefficient: [T, B] or a scalar tensor, read at valid rows.
        cut: where sequences end.
        valid: [T, B] bool; a row that is not valid holds x of the row behind it, so that it hands it on.
    """
    deltas = torch.where(valid, delta, 0.0).unbind()
    coefficients = torch.where(valid, coefficient, 1.0).unbind()
    ended = cut.ended.unbind()
    result = list(deltas)
    for t in range(len(result) - 2, -1, -1):
        behind = torch.addcmul(deltas[t], coefficients[t], result[t + 1])
        result[t] = torch.where(ended[t], deltas[t], behind)  # not a product with 0: NaN must not pass a cut
    return torch.stack(result)
