"""Real time: how fast the game runs where somebody watches.

What comes in: tics. What leaves: the wait that makes 35 of them a second. This file does not know the game.
"""

from __future__ import annotations

import time

from sf_plugins_vizdoom.tasks import TICS_PER_SECOND


class TicClock:
    """Lets the tics of a game pass at the speed for which it was made."""

    def __init__(self) -> None:
        """The first tic may happen at once."""
        self._next_s = time.monotonic()

    def wait(self) -> None:
        """After a tic: until the next is due. Time that was lost is not made up for."""
        self._next_s = max(self._next_s + 1 / TICS_PER_SECOND, time.monotonic())
        time.sleep(max(0.0, self._next_s - time.monotonic()))
