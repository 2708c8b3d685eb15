"""The table of `fields.py` as torch tensors on one device, for envs whose observations never leave it.

In: what the table is made from, and a device. Out: tensors, named and shaped as the arrays of `buffers.py`, which
`take_batch` reads in the same way. Not known here: who writes which field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor

from sf_core.envs.spaces import ActionPart
from sf_core.envs.tensor_dtype import torch_dtype
from sf_core.rollout.buffers import FieldArrays


class TensorBuffers(FieldArrays[Tensor]):
    """The table on `device`."""

    def __init__(
        self,
        observation_space: Mapping[str, Space[Any]],
        action_parts: Sequence[ActionPart],
        *,
        device: torch.device | str,
        **sizes: int,
    ) -> None:
        def allocate(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
            return torch.zeros(shape, dtype=torch_dtype(dtype), device=device)

        super().__init__(observation_space, action_parts, allocate=allocate, **sizes)
        self.device = torch.device(device)
