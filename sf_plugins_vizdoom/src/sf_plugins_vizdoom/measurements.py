"""What a player can read off the status bar, as 23 numbers beside the screen.

What comes in: game variables by name. What leaves: a vector, scaled as in Sample Factory. What a scenario does not
report is zero (one player, if the number of players is not reported).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

SLOTS = range(8)
NUM_MEASUREMENTS = 7 + 2 * len(SLOTS)
_AMMO_UNIT, _MOST_AMMO = 15.0, 5.0


def measurements_of(variables: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """`[23]` float32: weapon, its ammunition, health, armour, kills, ready, players, weapons 0-7, ammunition 0-7."""

    def value(name: str, default: float = 0.0) -> float:
        return variables.get(name, default)

    return np.array(
        [
            max(0, round(value("SELECTED_WEAPON"))),  # the engine's -1 is none
            _ammo(value("SELECTED_WEAPON_AMMO")),
            value("HEALTH") / 30.0,
            value("ARMOR") / 30.0,
            value("USER2") / 10.0,
            value("ATTACK_READY"),
            value("PLAYER_COUNT", 1.0) / 5.0,
            *(max(0.0, value(f"WEAPON{slot}")) for slot in SLOTS),
            *(_ammo(value(f"AMMO{slot}")) for slot in SLOTS),
        ],
        np.float32,
    )


def _ammo(count: float) -> float:
    return min(max(count, 0.0) / _AMMO_UNIT, _MOST_AMMO)


def are_beside_a_screen(obs_space: spaces.Space[Any]) -> bool:
    """Whether an observation has a screen `obs` and a vector `measurements`, and nothing else."""
    if not isinstance(obs_space, spaces.Dict) or set(obs_space.spaces) != {"obs", "measurements"}:
        return False
    return len(obs_space["obs"].shape or ()) == 3 and len(obs_space["measurements"].shape or ()) == 1
