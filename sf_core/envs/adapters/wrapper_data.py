"""What wrappers of an env remember from one episode to the next: running statistics, counters, generators.

In: a wrapped env. Out: numbers and arrays, and the same put back into another copy of the env. Not known here: files.

A wrapper's memory is taken from its attributes: numbers, arrays of numbers, numpy generators, and objects that hold
nothing but numbers and arrays (Gymnasium's `RunningMeanStd`). What is larger or of another kind is left out: what an
env shows when its episode is played again says whether it was needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

_LARGEST_ARRAY = 1 << 16  # bytes
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64")
_ARRAYS = (np.ndarray, np.generic)
_TEXTS = (str, dict, list, tuple)  # of no interest, and told apart quickly
_OF_EVERY_WRAPPER = ("env", "_saved_kwargs", "_action_space", "_observation_space", "_metadata", "_cached_spec")

WrapperData = list[dict[str, Any]]
"""For each wrapper, outermost first: attribute -> number, array, state of a generator, or a dict of the first two."""


def wrappers_of(env: Any) -> Iterator[Any]:
    """The wrappers around an env, outermost first."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def wrapper_data(env: Any) -> WrapperData:
    """What the wrappers of `env` remember now; the arrays are copies."""
    return [
        {
            name: data
            for name, value in vars(wrapper).items()
            if name not in _OF_EVERY_WRAPPER and (data := _data_of(value)) is not None
        }
        for wrapper in wrappers_of(env)
    ]


def restore_wrapper_data(env: Any, data: WrapperData) -> None:
    """Put back what `wrapper_data` returned for another copy of the env.

    An attribute that is there is only replaced by the same kind of thing; no class is looked up, no code is called.

    Raises:
        ValueError: the env has other wrappers, or one of them has other attributes.
    """
    wrappers = list(wrappers_of(env))
    if len(wrappers) != len(data):
        raise ValueError(f"it has {len(wrappers)} wrappers and had {len(data)}")
    for wrapper, saved in zip(wrappers, data, strict=True):
        for name, value in saved.items():
            _put_back(wrapper, name, value)


def random_state_of(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a generator: nested dicts of texts, whole numbers and arrays of them."""
    return dict(generator.bit_generator.state)


def restore_random_state_of(generator: np.random.Generator, state: Any) -> None:
    """Put back what `random_state_of` returned (`ValueError` where it is of another kind of generator)."""
    try:
        generator.bit_generator.state = state
    except (TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"the state of a generator does not fit: {error}") from error


def _data_of(value: Any) -> Any:
    """`value` as data, or None where it is left out."""
    if value is None or isinstance(value, _TEXTS):
        return None
    if _is_number(value):
        return _number(value)
    if isinstance(value, np.random.Generator):
        return {"random": random_state_of(value)}
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        fields = vars(value)
        if fields and all(_is_number(field) for field in fields.values()):
            return {"fields": {name: _number(field) for name, field in fields.items()}}
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, _ARRAYS):
        return value.dtype.name in _DTYPES and value.nbytes <= _LARGEST_ARRAY
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _number(value: Any) -> Any:
    return np.array(value) if isinstance(value, _ARRAYS) else value


def _put_back(owner: Any, name: str, saved: Any) -> None:
    attributes = vars(owner)
    if name not in attributes and (isinstance(saved, dict) or hasattr(type(owner), name)):
        raise ValueError(f"{type(owner).__name__} has no attribute {name!r} of its own")
    present = attributes.get(name)  # some appear with the first reset only
    if isinstance(saved, dict):
        if "random" in saved and isinstance(present, np.random.Generator):
            restore_random_state_of(present, saved["random"])
        elif isinstance(saved.get("fields"), dict) and hasattr(present, "__dict__"):
            for field, value in saved["fields"].items():
                _put_back(present, field, value)
        else:
            raise ValueError(f"{type(owner).__name__}.{name} is of another kind")
    elif not (_is_number(present) or present is None):
        raise ValueError(f"{type(owner).__name__}.{name} is of another kind")
    elif isinstance(saved, np.ndarray):
        # a numpy number was saved as an array without axes
        attributes[name] = saved[()] if saved.ndim == 0 and not isinstance(present, np.ndarray) else saved.copy()
    else:
        attributes[name] = saved
