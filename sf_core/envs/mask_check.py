"""Does an action mask leave a choice? Rows in which it does not are an error of the env.

In: flat observations. Out: nothing, or a `UsageError` that names the env and the part of the action. numpy only, as it
runs where envs are stepped. How masks act on a policy is the model's business (`model/action_mask.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from sf_core.envs.spaces import ACTION_MASK, action_parts, is_action_mask
from sf_core.utils.errors import UsageError


class MaskCheck:
    """Looks at the masks of one kind of env.

    Args:
        name: of the env, for messages; empty where it is not known.
        leaves: of the observation space, by name.
        action_space: of one agent.

    Attributes:
        leaves: the observations that are masks; none where there is nothing to check.
        starts: leaf -> where each categorical begins among its choices.
    """

    def __init__(self, name: str, leaves: Mapping[str, Space[Any]], action_space: Space[Any]) -> None:
        self._whose = f"env {name!r}" if name else "the env"
        self._parts = action_parts(action_space)
        parts = [part for part in self._parts if part.kind == "discrete"]
        sizes = {f"{ACTION_MASK}/{part.name}": part.sizes for part in parts}
        sizes[ACTION_MASK] = tuple(size for part in parts for size in part.sizes)
        # masks of no part are refused where the model is made
        self.starts = {
            leaf: np.concatenate([[0], np.cumsum(sizes[leaf])[:-1]])
            for leaf in leaves
            if is_action_mask(leaf) and sizes.get(leaf)
        }
        self.leaves = tuple(self.starts)

    def check(self, observation: Mapping[str, np.ndarray], acting: np.ndarray) -> None:
        """Every row that acts must have a legal choice in each categorical.

        Args:
            observation: key -> `[N, *space]`; only `leaves` are looked at.
            acting: `[N]` bool.

        Raises:
            UsageError: one has none.
        """
        for leaf, starts in self.starts.items():
            mask = observation[leaf].reshape(len(acting), -1) != 0  # [N, choices]
            stuck = acting & ~np.logical_or.reduceat(mask, starts, axis=1).all(1)
            if stuck.any():
                raise self.error(leaf, int(np.flatnonzero(stuck)[0]))

    def error(self, leaf: str, row: int) -> UsageError:
        """What is to be said of a mask without a choice."""
        return UsageError(
            f"{self._whose} returned the observation {leaf!r} with no legal choice for row {row}, which had to act; "
            "leave at least one choice of every categorical legal, or end the episode"
        )

    def first_legal(self, observation: Mapping[str, np.ndarray], num_rows: int) -> dict[str, np.ndarray]:
        """Actions that a strict env accepts: the first legal choice of each categorical, 0 where nothing is masked.

        Args:
            observation: key -> `[N, *space]`.
            num_rows: N.

        Returns:
            part -> `[N, *part]`, as stored.
        """
        actions, at = {}, 0  # position in the mask of all parts
        for part in self._parts:
            actions[part.name] = np.zeros((num_rows, *part.shape), part.dtype)
            own = f"{ACTION_MASK}/{part.name}"
            leaf, first = (own, 0) if own in self.leaves else (ACTION_MASK, at)
            at += sum(part.sizes)
            if leaf in self.leaves and part.kind == "discrete":
                mask = observation[leaf].reshape(num_rows, -1) != 0
                ends = first + np.cumsum(part.sizes)
                choices = [mask[:, end - size : end].argmax(1) for end, size in zip(ends, part.sizes, strict=True)]
                actions[part.name] = np.stack(choices, 1).reshape(num_rows, *part.shape)
        return actions
