"""Names, shapes and dtypes of a policy's weights, for those who give them memory without knowing the network.

In: the table. Out: one numpy array for each weight, and the version they belong to. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Weight:
    """One parameter or statistic; `dtype` is numpy's name for it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class WeightArrays:
    """Memory for one set of weights.

    Attributes:
        version: `[1]` int64, the policy version they belong to plus one; 0 before the first.
        arrays: name -> array.
    """

    def __init__(
        self, table: Sequence[Weight], allocate: Callable[[str, tuple[int, ...], np.dtype[Any]], np.ndarray]
    ) -> None:
        self.version = allocate("weights/version", (1,), np.dtype(np.int64))
        self.arrays = {
            weight.name: allocate(f"weights/{weight.name}", weight.shape, np.dtype(weight.dtype)) for weight in table
        }
