"""From an action of the policy to what the engine is told: which buttons are held, and how far to turn.

What comes in: the heads of a task. What leaves: a Gymnasium space, and for each action the values of all buttons.
This file does not know the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.tasks import Head, Press, Turn

DELTA = "_DELTA"  # how the engine's names of the buttons that take a number end
CUSTOM_TURN = (10.0, 11)  # limit in degrees per tic, steps
_OPPOSITES = (
    ("MOVE_FORWARD", "MOVE_BACKWARD"),
    ("MOVE_RIGHT", "MOVE_LEFT"),
    ("TURN_LEFT", "TURN_RIGHT"),
    ("LOOK_UP", "LOOK_DOWN"),
    ("MOVE_UP", "MOVE_DOWN"),
    ("SELECT_NEXT_WEAPON", "SELECT_PREV_WEAPON"),
    tuple(f"SELECT_WEAPON{number}" for number in range(10)),
)


class Controls:
    """The action space of some heads, and how its actions become values of buttons."""

    def __init__(self, heads: Sequence[Head]) -> None:
        """Lay out the buttons in the order of the heads; `buttons` has their names."""
        self.buttons = tuple(button for head in heads for button in _buttons_of(head))
        tables = [_table(head) for head in heads]  # head -> choice -> values of its buttons; None for a real number
        self._heads = [
            (table, head.limit if isinstance(head, Turn) else 0.0) for head, table in zip(heads, tables, strict=True)
        ]
        parts = [
            spaces.Discrete(len(table)) if table is not None else spaces.Box(-1.0, 1.0, (1,), np.float32)
            for table in tables
        ]
        self._is_flat = len(parts) == 1
        self.space: spaces.Space[Any] = parts[0] if self._is_flat else spaces.Tuple(parts)

    def values(self, action: Any) -> list[float]:
        """One value for each of `buttons`: 1 if it is held, or degrees."""
        values: list[float] = []
        for (table, limit), choice in zip(self._heads, (action,) if self._is_flat else action, strict=True):
            values += table[int(choice)] if table is not None else [float(np.asarray(choice).item()) * limit]
        return values


def heads_for(buttons: Iterable[str], style: str) -> tuple[Head, ...]:
    """Heads for the buttons of any scenario.

    Args:
        buttons: the engine's names.
        style: "flat", one button at a time; "tuple", a head for each group of buttons that exclude one another.

    Raises:
        UsageError: no buttons; a flat space with a button that takes a number.
    """
    names = list(buttons)
    if not names:
        raise UsageError("the scenario has no available_buttons; an agent needs at least one")
    if style == "flat":
        turning = [name for name in names if name.endswith(DELTA)]
        if turning:
            raise UsageError(f"--doom_actions=flat cannot say how far for {', '.join(turning)}; use tuple")
        return (Press(tuple(names)),)
    groups: list[Head] = []
    while names:
        together = next((group for group in _OPPOSITES if names[0] in group), (names[0],))
        group = tuple(name for name in names if name in together)
        groups.append(Turn(names[0], *CUSTOM_TURN) if names[0].endswith(DELTA) else Press(group))
        names = [name for name in names if name not in group]
    return tuple(groups)


def _buttons_of(head: Head) -> tuple[str, ...]:
    return head.buttons if isinstance(head, Press) else (head.button,)


def _table(head: Head) -> list[list[float]] | None:
    if isinstance(head, Press):
        count = len(head.buttons)
        return [[0.0] * count, *np.eye(count).tolist()]
    return [[angle] for angle in np.linspace(-head.limit, head.limit, head.steps).tolist()] if head.steps else None
