"""A window for pictures that are not the environment's own.

In: RGB frames [H, W, 3] uint8. Out: the newest one on the screen. Needs pygame, which draws many environments anyway.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sf_core.utils.errors import UsageError


class Window:
    """Opens with the first frame.

    Raises:
        UsageError: pygame is not installed.
    """

    def __init__(self, title: str) -> None:
        try:
            import pygame
        except ImportError:
            raise UsageError(
                "a window with --overlay needs pygame; pip install pygame, or record it with --save_video."
            ) from None
        self._pygame: Any = pygame
        self._title = title
        self._screen: Any = None

    def write(self, frame: np.ndarray) -> None:
        """Show one frame.

        Raises:
            KeyboardInterrupt: somebody closed the window.
        """
        pygame = self._pygame
        height, width = frame.shape[:2]
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption(self._title)
            self._screen = pygame.display.set_mode((width, height))
        picture = pygame.image.frombuffer(np.ascontiguousarray(frame).tobytes(), (width, height), "RGB")
        self._screen.blit(picture, (0, 0))
        pygame.display.flip()
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            raise KeyboardInterrupt

    def close(self) -> None:
        """Close it."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
