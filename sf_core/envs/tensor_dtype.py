"""Torch's name for a numpy dtype. In: one of numpy's. Out: one of torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def torch_dtype(dtype: Any) -> torch.dtype:
    """What a tensor made of an array of `dtype` has; a TypeError where torch has nothing like it."""
    return torch.from_numpy(np.empty(0, dtype)).dtype
