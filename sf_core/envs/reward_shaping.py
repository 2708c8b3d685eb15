"""Other weights for a shaped reward: what `--reward_shaping` asks for, given to an env that has some.

In: an env with `RewardShapingInterface`, and the weights to change. Out: the same env, which uses them from now on. Not
known here: what a weight means, who chose it (a user, or one member of a population).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sf_core.envs.env_utils import RewardShapingInterface, find_interface
from sf_core.utils.errors import UsageError


def change_reward_shaping(name: str, env: Any, changes: Mapping[str, Any]) -> None:
    """Give all agents of `env` its default weights with some changed.

    Raises:
        UsageError: the env has no weights, or not these.
    """
    shaped = find_interface(env, RewardShapingInterface)
    default = None if shaped is None else shaped.get_default_reward_shaping()
    if shaped is None or default is None:
        raise UsageError(f"--reward_shaping: env {name!r} has no weights to change; leave the flag out")
    shaped.set_reward_shaping(with_changes(default, changes), slice(None))


def with_changes(default: Mapping[str, Any], changes: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """A copy of nested weights with some replaced by others of the same form.

    Raises:
        UsageError: there is no weight of that name, or it has another form.
    """
    weights = dict(default)
    for key, new in changes.items():
        where = f"{within}{key}"
        if key not in weights:
            raise UsageError(f"--reward_shaping: there is no {where!r}; there are {', '.join(map(str, weights))}")
        weights[key] = _replaced(weights[key], new, where)
    return weights


def _replaced(old: Any, new: Any, where: str) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return with_changes(old, new, f"{where}.")
    if _is_number(old) and _is_number(new):
        return new
    if _is_list(old) and _is_list(new) and len(old) == len(new):
        return type(old)(
            _replaced(one, other, f"{where}[{i}]") for i, (one, other) in enumerate(zip(old, new, strict=True))
        )
    raise UsageError(f"--reward_shaping: {where} is {old!r} by default; {new!r} has another form")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
