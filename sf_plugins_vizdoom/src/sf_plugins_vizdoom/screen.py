"""From the engine's screen to the observation: nearest-neighbour shrinking, with numpy alone.

What comes in: screens `[3, height, width]` uint8. What leaves: observations `[3, h, w]` or `[h, w, 3]`. This file
does not know the engine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


class Shrinker:
    """Picks pixels: output pixel i shows input pixel floor(i * source / target), as OpenCV's INTER_NEAREST does."""

    def __init__(self, source: tuple[int, int], target: tuple[int, int], *, channels_last: bool = False) -> None:
        """Prepare to shrink from `source` to `target`, both (height, width)."""
        rows = np.arange(target[0]) * source[0] // target[0]
        columns = np.arange(target[1]) * source[1] // target[1]
        self._pixels = (slice(None), rows[:, None], columns[None, :])
        self._channels_last = channels_last
        self.shape = (*target, 3) if channels_last else (3, *target)

    def __call__(self, screen: Pixels) -> Pixels:
        """Return a copy of the picked pixels; the engine may overwrite its screen at once."""
        picked = screen[self._pixels]  # [3, h, w]
        return np.ascontiguousarray(picked.transpose(1, 2, 0)) if self._channels_last else picked
