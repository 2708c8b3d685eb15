"""The ROMs that come with the emulator: which can be played, and where their files are.

What comes in: a ROM's name. What leaves: its path, or a sentence with close names. This file does not know how a game
is played.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from ale_py import roms

from sf_core.utils.errors import UsageError

TWO_PLAYERS = frozenset({"combat", "joust", "maze_craze", "warlords"})
"""Games without a mode for one player. The emulator ends the process that loads one as a game for one."""


def playable_roms() -> list[str]:
    """Return the names of all games for one player, sorted."""
    return sorted(set(roms.get_all_rom_ids()) - TWO_PLAYERS)


def rom_path(rom: str) -> Path:
    """Return the file of a game.

    Raises:
        UsageError: there is no such game, or only two can play it.
    """
    if rom in TWO_PLAYERS:
        raise UsageError(f"the game {rom!r} is for two players only; choose another, such as --env=atari:tetris.")
    playable = playable_roms()
    if rom not in playable:
        close = difflib.get_close_matches(rom.lower(), playable, n=3)
        what = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(playable)}."
        raise UsageError(f"the Arcade Learning Environment has no game {rom!r}; {what}")
    path = roms.get_rom_path(rom)
    assert path is not None  # it is in the list
    return Path(path)
