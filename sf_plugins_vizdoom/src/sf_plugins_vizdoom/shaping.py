"""Rewards that the engine does not give, from the changes of game variables between two steps.

What comes in: game variables by name. What leaves: an addition to the reward, and at the end of a game the standings.
The numbers are Sample Factory's; weights may be changed while training (population-based training does).
This file does not know the engine.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Variables = Mapping[str, float]

SLOTS = range(8)
MOST_CHANGE = {"DAMAGECOUNT": 200.0, "HITCOUNT": 5.0}  # what one step can plausibly bring
STEPS_TO_TRUST_A_WEAPON = 5
_PREFERENCE = {3: 5, 4: 5, 5: 5, 6: 10, 7: 10}  # of a weapon slot; 1 for the others

# variable -> reward for a rise by one, and for a fall by one
_COMMON = {
    "ARMOR": (0.005, -0.001),
    **{f"WEAPON{slot}": (0.02 * _PREFERENCE.get(slot, 1), -0.01 * _PREFERENCE.get(slot, 1)) for slot in SLOTS},
    **{f"AMMO{slot}": (0.0002 * _PREFERENCE.get(slot, 1), -0.0001 * _PREFERENCE.get(slot, 1)) for slot in SLOTS},
}
# what a player leaves behind with its body; a new one brings its own
OF_THE_BODY = frozenset(("HEALTH", *_COMMON))
_SELECTED = {f"SELECTED{slot}": 0.0002 * _PREFERENCE.get(slot, 1) for slot in SLOTS}

SCHEMES: dict[str, dict[str, dict[str, Any]]] = {
    "bots": {
        "delta": {
            "FRAGCOUNT": (1.0, -1.5),
            "DEATHCOUNT": (-0.75, 0.75),
            "HITCOUNT": (0.01, -0.01),
            "DAMAGECOUNT": (0.003, -0.003),
            "HEALTH": (0.005, -0.003),
            **_COMMON,
        },
        "selected_weapon": _SELECTED,
    },
    # nearly zero-sum: what one player gains, the other loses
    "deathmatch": {
        "delta": {
            "FRAGCOUNT": (1.0, -0.001),
            "DEATHCOUNT": (-1.0, 1.0),
            "HITCOUNT": (0.0, 0.0),
            "DAMAGECOUNT": (0.01, -0.01),
            "HEALTH": (0.01, -0.01),
            **_COMMON,
        },
        "selected_weapon": _SELECTED,
    },
}


class DeltaShaping:
    """The weighted changes of variables, and a little for holding a good weapon that has ammunition."""

    def __init__(self, scheme: Mapping[str, Mapping[str, Any]]) -> None:
        self.scheme: dict[str, dict[str, Any]] = copy.deepcopy({key: dict(part) for key, part in scheme.items()})
        self._before: Variables | None = None
        self._weapon = -1
        self._steps_with_weapon = 0

    def reset(self, variables: Variables) -> None:
        """Start an episode. Its first step earns nothing: bots that join may crush who stands where they start."""
        self._before = None
        self._weapon, self._steps_with_weapon = -1, 0

    def reward(self, variables: Variables) -> float:
        """What this step adds; the fresh health and weapons of who has just come back to life are worth nothing.

        Without a respawn delay that happens within the step of the death, and only the number of deaths tells.
        """
        before, self._before = self._before, variables
        weapon_bonus = self._weapon_bonus(variables)
        if before is None:
            return 0.0
        was_dead = before.get("DEAD", 0.0) or variables.get("DEATHCOUNT", 0.0) > before.get("DEATHCOUNT", 0.0)
        has_new_body = was_dead and not variables.get("DEAD", 0.0)
        reward = 0.0 if has_new_body else weapon_bonus
        for name, (rise, fall) in self.scheme["delta"].items():
            if has_new_body and name in OF_THE_BODY:
                continue
            change = variables.get(name, 0.0) - before.get(name, 0.0)
            if change:
                size = min(abs(change), MOST_CHANGE.get(name, abs(change)))
                reward += size * (rise if change > 0 else fall)
        return reward

    def _weapon_bonus(self, variables: Variables) -> float:
        weapon = round(variables.get("SELECTED_WEAPON", -1.0))
        self._steps_with_weapon = self._steps_with_weapon + 1 if weapon == self._weapon else 1
        self._weapon = weapon
        if variables.get("SELECTED_WEAPON_AMMO", 0.0) <= 0 or self._steps_with_weapon < STEPS_TO_TRUST_A_WEAPON:
            return 0.0
        return float(self.scheme["selected_weapon"].get(f"SELECTED{weapon}", 0.0))


class GatheringShaping:
    """One for every step in which health rose: something good was picked up."""

    def __init__(self) -> None:
        self.scheme = None
        self._health = 0.0

    def reset(self, variables: Variables) -> None:
        """Start an episode."""
        self._health = variables.get("HEALTH", 0.0)

    def reward(self, variables: Variables) -> float:
        """What this step adds."""
        before, self._health = self._health, variables.get("HEALTH", 0.0)
        return 1.0 if self._health > before else 0.0


Shaping = DeltaShaping | GatheringShaping


def make_shaping(name: str) -> Shaping | None:
    """The shaping that a task names; None for none."""
    if not name:
        return None
    return GatheringShaping() if name == "gathering" else DeltaShaping(SCHEMES[name])


def standings(variables: Variables) -> dict[str, float]:
    """Kills per death, place and distance to the leader (below zero: ahead of the second) of a game with frags."""
    if "FRAGCOUNT" not in variables:
        return {}
    frags, deaths = variables["FRAGCOUNT"], variables.get("DEATHCOUNT", 0.0)
    stats = {"frags": frags, "deaths": deaths, "kdr": frags / (deaths + 1.0)}
    count = round(variables.get("PLAYER_COUNT", 1.0))
    number = round(variables.get("PLAYER_NUMBER", -1.0))
    counts = [variables.get(f"PLAYER{player}_FRAGCOUNT") for player in range(1, count + 1)]
    if number < 0 or count < 2 or None in counts:
        return stats
    others = [float(value) for player, value in enumerate(counts) if player != number and value is not None]
    stats["final_place"] = 1.0 + sum(other > frags for other in others)
    stats["leader_gap"] = max(others) - frags
    return stats


def objective(kind: str, raw_return: float, stats: Mapping[str, float]) -> float | None:
    """The number that a task is really about; None where that is the reward itself.

    "return" is the return without shaping, "frags" the kills minus suicides, "win" 1 for more frags than anybody else.
    """
    if kind == "return":
        return raw_return
    if kind == "frags":
        return stats.get("frags", 0.0)
    if kind == "win":
        return float(stats.get("leader_gap", 0.0) < 0.0)
    return None
