"""Raw screens to what the agent sees, with numpy alone and as the emulator's native vector environment does it.

What comes in: screens `[210, 160]`, in colour `[210, 160, 3]`, uint8, of the last frames of a step. What leaves: the
stack `[stack, height, width]` or `[stack, height, width, 3]` uint8. This file does not know the emulator or Gymnasium.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Screen = npt.NDArray[np.uint8]


def area_weights(source: int, target: int) -> npt.NDArray[np.float32]:
    """Return the matrix `[target, source]` that shrinks one axis by averaging areas.

    Output pixel i covers the input from i * source / target to (i + 1) * source / target; an input pixel counts by
    the part of it that is covered. OpenCV calls this INTER_AREA.
    """
    scale = source / target
    edges = np.arange(target + 1) * scale  # [target + 1]
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)  # [target, source]
    weights: npt.NDArray[np.float32] = (np.clip(overlap, 0.0, None) / scale).astype(np.float32)
    return weights


class FrameStack:
    """The last screens, max-pooled in pairs, shrunk and stacked; oldest first, zeros before the first screen."""

    def __init__(self, screen_shape: tuple[int, ...], stack_shape: tuple[int, ...]) -> None:
        """Prepare for screens `[210, 160, ...]` and a stack `[num_frames, height, width, ...]`."""
        self._rows = area_weights(screen_shape[0], stack_shape[1])  # [height, 210]
        self._columns = area_weights(screen_shape[1], stack_shape[2])  # [width, 160]
        self._pair = np.zeros((2, *screen_shape), dtype=np.uint8)
        self._frames = np.zeros(stack_shape, dtype=np.uint8)

    def restart(self, screen: Screen) -> None:
        """Forget everything and take the first screen of a game."""
        self._pair[0] = screen
        self._pair[1] = 0
        self._frames[:] = 0
        self.push()

    def see(self, screen: Screen, *, last: bool) -> None:
        """Note the last screen of a step (`last`) or the one before it."""
        self._pair[0 if last else 1] = screen

    def push(self) -> None:
        """End a step: pool the pair and put the result on the stack.

        A step cut short by the end of the game leaves older screens in the pair, as in the native environment; the
        pooled screen stays in place for the same reason.
        """
        np.maximum(self._pair[0], self._pair[1], out=self._pair[0])
        wide = np.tensordot(self._rows, self._pair[0].astype(np.float32), axes=1)  # [height, 160, ...]
        small = np.moveaxis(np.tensordot(self._columns, wide, axes=(1, 1)), 0, 1)  # [height, width, ...]
        self._frames[:-1] = self._frames[1:]
        self._frames[-1] = np.rint(small).astype(np.uint8)

    def observation(self) -> npt.NDArray[np.uint8]:
        """Return a copy of the stack, [num_frames, height, width, ...]."""
        return self._frames.copy()
