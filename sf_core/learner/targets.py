"""What the losses aim at: one advantage and one value target per row.

In: time-major columns of a batch. Out: `Targets`. Also the one rule that GAE and V-trace share: where a sequence is cut
and which value stands after the cut. Does not know networks or normalisers; every value is in reward units.
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
