"""Which segments go together into one optimizer step.

In: counts and a random generator. Out: one selection of segment indices per minibatch. Does not know what a segment
holds.
"""

from __future__ import annotations

import torch
from torch import Tensor

Selection = slice | Tensor
"""A slice (no copy needed) or an index tensor [segments_per_minibatch] int64."""


def minibatch_selections(
    num_segments: int,
    num_minibatches: int,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> list[Selection]:
    """Cut `num_segments` into `num_minibatches` equal parts.

    With a generator the segments are permuted first, anew on every call; without one the parts are the same contiguous
    slices every time (Sample Factory's `--shuffle_minibatches=False`). One minibatch holds everything in either case.

    Raises:
        ValueError: `num_segments` is not a multiple of `num_minibatches`.
    """
    if num_minibatches < 1 or num_segments % num_minibatches:
        raise ValueError(f"{num_segments} segments cannot be cut into {num_minibatches} equal minibatches")
    if num_minibatches == 1:
        return [slice(0, num_segments)]
    size = num_segments // num_minibatches
    if generator is None:
        return [slice(first, first + size) for first in range(0, num_segments, size)]
    # Drawn on the CPU so that one seed gives one order whatever the device.
    order = torch.randperm(num_segments, generator=generator).to(device)
    return [order[first : first + size] for first in range(0, num_segments, size)]
