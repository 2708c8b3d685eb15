"""Which choices an env forbids: the leaves of an observation that are action masks, as one tensor.

In: an observation. Out: `[N, C]`, one entry per choice in the order of `action_distribution.py`, or None where the env
offers no mask. Knows the names of leaves and the sizes of parts, nothing else.

An env offers its mask as the observation `action_mask`: one array with an entry per choice of all discrete parts
together (for a Discrete(n) just `[n]`), or a Dict or Tuple with one array per discrete part, under the part's name.
Non-zero means legal. Parts without an array are not masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from torch import Tensor

from sf_core.envs.spaces import ACTION_MASK, ActionPart, is_action_mask
from sf_core.utils.errors import UsageError


class ActionMaskReader:
    """Finds the mask in observations of one space.

    Args:
        leaves: of the observation space, by name.
        parts: of the action space.

    Raises:
        UsageError: a mask does not have one entry per choice.
    """

    def __init__(self, leaves: Mapping[str, Space[Any]], parts: tuple[ActionPart, ...]) -> None:
        sizes = {part.name: sum(part.sizes) for part in parts if part.kind == "discrete"}
        masks = [name for name in leaves if is_action_mask(name)]
        self.pieces: list[tuple[str | None, int]] = []  # leaf (None = all legal) and its number of choices, in order
        if ACTION_MASK in masks:
            self.pieces = [(ACTION_MASK, sum(sizes.values()))]
        elif masks:
            names = {part: f"{ACTION_MASK}/{part}" for part in sizes}
            self.pieces = [(name if name in masks else None, sizes[part]) for part, name in names.items()]
        used = {name for name, _ in self.pieces}
        for name in masks:
            if name not in used:
                raise UsageError(
                    f"observation {name!r} masks no discrete part of the action space "
                    f"(they are: {', '.join(sizes) or 'none'}); remove or rename it in the env"
                )
        for leaf, size in self.pieces:
            if leaf is not None and int(np.prod(leaves[leaf].shape or (), dtype=np.int64)) != size:
                raise UsageError(
                    f"observation {leaf!r} has shape {leaves[leaf].shape}, but there are {size} choices to mask; "
                    f"make it a MultiBinary({size}) or a Box of shape ({size},) in the env"
                )

    def read(self, observation: Mapping[str, Tensor]) -> Tensor | None:
        """`{key: [N, *space]}` to `[N, C]`, or None."""
        if not self.pieces:
            return None
        if len(self.pieces) == 1:
            name = self.pieces[0][0]
            assert name is not None
            return observation[name].flatten(1)
        present = next(observation[name] for name, _ in self.pieces if name is not None)
        columns = [
            torch.ones(present.shape[0], size, dtype=torch.bool, device=present.device)
            if name is None
            else observation[name].flatten(1).to(torch.bool)
            for name, size in self.pieces
        ]
        return torch.cat(columns, dim=1)
