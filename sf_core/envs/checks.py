"""The first look at what an environment returns, so that a mistake is a sentence and not a broadcast error later.

In: the results of the first `reset` and the first `step`. Out: nothing, or a `UsageError` that names the env and says
what to correct. Only first results are looked at; from then on an env is taken at its word. Not known here: who calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space

from sf_core.envs.spaces import LONE_OBSERVATION, flatten_observation, observation_spaces
from sf_core.utils.errors import UsageError

NUMBERS = "biuf"  # dtype kinds: bool, signed, unsigned, float


def flat_spaces(name: str, space: Space[Any] | None) -> spaces.Dict:
    """The flat leaves of an env's observation space as one Dict.

    Raises:
        UsageError: the env has no observation space, or one that cannot be learned from.
    """
    if not isinstance(space, Space):
        raise UsageError(f"env {name!r} has no observation_space; set it in the env's __init__")
    try:
        return spaces.Dict(observation_spaces(space))
    except UsageError as error:
        raise UsageError(f"env {name!r}: {error}") from error


def check_pair(name: str, result: Any) -> None:
    """`reset` must return an observation and a dict (or list) of infos.

    Raises:
        UsageError: it returned something else.
    """
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict | list | tuple)):
        raise UsageError(
            f"env {name!r}: reset() must return (observation, info), it returned {_kind(result)}; "
            "bring the env to the Gymnasium interface"
        )


def check_five(name: str, result: Any) -> None:
    """`step` must return five things.

    Raises:
        UsageError: it did not.
    """
    if not (isinstance(result, tuple) and len(result) == 5):
        raise UsageError(
            f"env {name!r}: step() must return (observation, reward, terminated, truncated, info), it returned "
            f"{_kind(result)}; bring the env to the Gymnasium interface"
        )


def check_observation(name: str, space: Space[Any], observation: Any, num_rows: int | None = None) -> None:
    """An observation must have the parts, shapes and kinds of numbers that its space declares.

    Args:
        name: the env's name.
        space: the observation space of one agent, as the env has it.
        observation: one observation, or with `num_rows` a batch of that many.
        num_rows: rows of the batch.

    Raises:
        UsageError: a part is missing, or has another shape, or numbers its space's dtype cannot hold.
    """
    batched = num_rows is not None
    _check_numbers(name, space, observation)
    try:
        flat = flatten_observation(space, observation, batched=batched)
    except UsageError as error:
        raise UsageError(f"env {name!r}: {error}") from error
    for key, array in flat.items():
        if batched and len(array) != num_rows:
            raise UsageError(
                f"env {name!r} returned {len(array)} rows of observation {key!r} for {num_rows} envs; a vector env "
                "must return one row for each env (asynchronous batches are not supported here)"
            )


def check_reward(name: str, reward: Any, num_rows: int | None = None) -> None:
    """A reward must be one number, or with `num_rows` an array or list of that many.

    Raises:
        UsageError: it is not.
    """
    given = _as_array(reward)
    if given is None or given.dtype.kind not in NUMBERS:
        raise UsageError(f"env {name!r} returned the reward {reward!r}, which is not a number; return a float")
    shape = given.shape
    if num_rows is None and shape != ():
        raise UsageError(f"env {name!r} returned a reward of shape {shape}; return one float, not an array")
    if num_rows is not None and shape != (num_rows,):
        raise UsageError(f"env {name!r} returned rewards of shape {shape}; return {num_rows} of them, one for each row")


def check_length(name: str, what: str, values: Any, num_rows: int) -> None:
    """Anything else given per row must have one entry for each.

    Raises:
        UsageError: it has another length, or none.
    """
    length = len(values) if hasattr(values, "__len__") else None
    if length != num_rows:
        found = f"{length} entries" if length is not None else _kind(values)
        raise UsageError(f"env {name!r} returned {found} as {what}; return {num_rows} entries, one for each row")


def _check_numbers(name: str, space: Space[Any], observation: Any) -> None:
    """Before anything is converted: converting would turn 300 into 44, and 0.5 into 0, without a word."""
    for key, leaf_space, value in _leaf_values(space, observation, ""):
        given = _as_array(value)
        if given is None or not _holds(leaf_space, given):
            found = "an uneven list" if given is None else f"{given.dtype} numbers"
            raise UsageError(
                f"env {name!r} returned observation {key or LONE_OBSERVATION!r} as {found} that its observation_space "
                f"of {leaf_space.dtype} cannot hold; convert it in the env, or declare another dtype in the space"
            )


def _leaf_values(space: Space[Any], value: Any, prefix: str) -> list[tuple[str, Space[Any], Any]]:
    """Leaves with their values, as far as the value has the parts of its space (the rest is reported elsewhere)."""
    children: list[tuple[str, Space[Any], Any]]
    if isinstance(space, spaces.Dict):
        children = [(str(key), child, key) for key, child in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        children = [(str(index), child, index) for index, child in enumerate(space.spaces)]
    else:
        return [(prefix, space, value)]
    leaves = []
    for key, child, place in children:
        try:
            part = value[place]
        except (KeyError, IndexError, TypeError):
            continue
        leaves += _leaf_values(child, part, f"{prefix}/{key}" if prefix else key)
    return leaves


def _as_array(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return None


def _holds(space: Space[Any], given: np.ndarray) -> bool:
    """Whether a space's dtype takes these numbers: the same kind, or whole numbers within range."""
    dtype = np.dtype(space.dtype)
    if given.dtype.kind not in NUMBERS:
        return False
    if np.can_cast(given.dtype, dtype, "same_kind"):
        return True
    if dtype.kind in "iu" and given.dtype.kind in "biu":  # a list of small Python ints for an image of uint8
        limits = np.iinfo(dtype)
        return given.size == 0 or (int(given.min()) >= limits.min and int(given.max()) <= limits.max)
    return False


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
