"""The flat list of parts of any observation or action space; encode and decode.

In: a Gymnasium space, nested as deeply as its author liked. Out: flat leaves with a name each, which is how every
other part of the project sees observations (`dict[str, array]`) and actions (`dict[str, array]`). The nested form
exists only at the border to the environment: `flatten_observation` on the way in, `decode_action` on the way out.

Names: a space that is not nested is `"obs"` (observation) or `"action"`; otherwise the path to the leaf joined by
`/`, as in `"camera/left"`, `"0"`, `"1/speed"`.

This file knows numpy and gymnasium only: no torch, no environments, no rollouts, no networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space

from sf_core.utils.errors import UsageError

LONE_OBSERVATION = "obs"
LONE_ACTION = "action"
ACTION_MASK = "action_mask"


# ---- observations ---------------------------------------------------------------------------------------------------


def observation_spaces(space: Space[Any]) -> dict[str, Space[Any]]:
    """Flat leaves of an observation space, in the order of the space.

    Args:
        space: any nesting of Dict and Tuple over Box, Discrete, MultiDiscrete and MultiBinary.

    Raises:
        UsageError: a leaf of another kind (Text, Graph, Sequence, ...), no leaf at all, or two leaves with one name.
    """
    leaves: dict[str, Space[Any]] = {}
    for path, leaf in _leaves(space, ()):
        name = "/".join(path) or LONE_OBSERVATION
        if not isinstance(leaf, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
            raise UsageError(
                f"observation {name!r} is a {type(leaf).__name__} space, which cannot be learned from directly; "
                "wrap the env so that it returns Box, Discrete, MultiDiscrete or MultiBinary (Dict and Tuple of them)"
            )
        if name in leaves:
            raise UsageError(f"two parts of the observation space are both called {name!r}; rename one key")
        leaves[name] = leaf
    if not leaves:
        raise UsageError("the observation space is empty; an env must return at least one array to act on")
    return leaves


def flatten_observation(space: Space[Any], observation: Any, *, batched: bool = False) -> dict[str, np.ndarray]:
    """One observation in the env's own form as flat arrays.

    Args:
        space: the observation space of one agent.
        observation: what `reset` or `step` returned; with `batched`, what a `gymnasium.vector` env returned (the
            same nesting with a leading axis of N on every leaf).

    Returns:
        name -> array `[*leaf.shape]` (`[N, *leaf.shape]` if batched), dtype of the leaf; views where possible.

    Raises:
        UsageError: a leaf has another shape than its space says.
    """
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return {LONE_OBSERVATION: _leaf_array(space, observation, LONE_OBSERVATION, batched)}
    flat: dict[str, np.ndarray] = {}
    _flatten_into(flat, space, observation, "", batched)
    return flat


def is_action_mask(name: str) -> bool:
    """Whether this observation leaf is (part of) an action mask: `action_mask` or `action_mask/<part>`."""
    return name == ACTION_MASK or name.startswith(ACTION_MASK + "/")


# ---- actions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class ActionPart:
    """One leaf of an action space.

    Attributes:
        name: `"action"` for a lone part, else its path such as `"0"` or `"move/turn"`.
        kind: `"discrete"` (one or several choices) or `"box"` (real numbers).
        shape: shape of the part in a stored action: `()` for Discrete, the space's own shape otherwise.
        dtype: dtype of the stored action: int64 choices counted from zero, or float32 before clipping. The env gets
            its own dtype back from `decode_action`; rounding or clipping the stored action would change its
            probability.
        sizes: number of choices of each element of the flattened part; empty for a box.
        start: value of choice zero, `[*shape]` int64 (zeros for a box).
        low, high: bounds `[*shape]` float64; infinite where the box is open; 0 and size - 1 for choices.
    """

    name: str
    kind: Literal["discrete", "box"]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    start: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def num_elements(self) -> int:
        """How many numbers one action of this part has."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def num_parameters(self) -> int:
        """How many distribution parameters it takes: one logit per choice; a mean and a log-stddev per real number."""
        return sum(self.sizes) if self.kind == "discrete" else 2 * self.num_elements


def action_parts(space: Space[Any]) -> tuple[ActionPart, ...]:
    """Flat list of the parts of an action space, in the order of the space.

    Raises:
        UsageError: a leaf that is not Discrete, MultiDiscrete, MultiBinary or Box; no leaf; two with one name.
    """
    parts = tuple(_action_part(leaf, "/".join(path) or LONE_ACTION) for path, leaf in _leaves(space, ()))
    if sum(part.num_parameters for part in parts) == 0:
        raise UsageError("the action space is empty; an env must offer at least one action")
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two parts of the action space are both called {name!r}; rename one key")
    return parts


def action_leaves(space: Space[Any]) -> dict[str, Space[Any]]:
    """The leaf behind each part of `action_parts(space)`, by the part's name."""
    return {"/".join(path) or LONE_ACTION: leaf for path, leaf in _leaves(space, ())}


def num_action_parameters(space: Space[Any]) -> int:
    """Number of action logits: the sum over parts of one per choice, two (means, then log-stddevs) per real number."""
    return sum(part.num_parameters for part in action_parts(space))


def decode_action(space: Space[Any], parts: Mapping[str, np.ndarray], *, batched: bool) -> Any:
    """Stored action parts in the env's own form: `start` added, boxes clipped to their bounds, the env's dtypes.

    Args:
        space: the action space of one agent.
        parts: name -> array `[*part.shape]`, or `[N, *part.shape]` if batched.

    Returns:
        What `env.step` takes; if batched, what `gymnasium.vector`'s `step` takes (arrays, or a tuple or dict of them).
    """
    return _decode(space, parts, "", batched)


def action_rows(space: Space[Any], action: Any) -> list[Any]:
    """Split a batched action from `decode_action` into one action per row, for envs that are stepped one by one."""
    if isinstance(space, spaces.Dict):
        columns = [action_rows(child, action[key]) for key, child in space.spaces.items()]
        return [dict(zip(space.spaces, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(space, spaces.Tuple):
        columns = [action_rows(child, column) for child, column in zip(space.spaces, action, strict=True)]
        return list(zip(*columns, strict=True))
    if isinstance(space, spaces.Box) and space.shape == ():
        return [np.asarray(row) for row in action]  # iterating would give numpy floats, which are not in a Box
    return list(action)


# ---- spaces as JSON -------------------------------------------------------------------------------------------------


def space_to_json(space: Space[Any]) -> dict[str, Any]:
    """A space as plain JSON values (strict JSON: infinite bounds are the strings `"inf"` and `"-inf"`).

    Raises:
        UsageError: a kind of space that `observation_spaces` and `action_parts` refuse too.
    """
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "spaces": [[key, space_to_json(child)] for key, child in space.spaces.items()]}
    if isinstance(space, spaces.Tuple):
        return {"type": "Tuple", "spaces": [space_to_json(child) for child in space.spaces]}
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        start = np.zeros_like(space.nvec) if getattr(space, "start", None) is None else space.start
        return {
            "type": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": np.asarray(start).tolist(),
            "dtype": np.dtype(space.dtype).name,
        }
    if isinstance(space, spaces.MultiBinary):
        return {
            "type": "MultiBinary",
            "n": space.n if isinstance(space.n, int) else [int(size) for size in space.shape],
        }
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": [int(size) for size in space.shape],
            "dtype": np.dtype(space.dtype).name,
            "low": _bound_to_json(space.low),
            "high": _bound_to_json(space.high),
        }
    raise UsageError(f"a {type(space).__name__} space is not supported; use Box, Discrete, MultiDiscrete, MultiBinary")


def space_from_json(data: Mapping[str, Any]) -> Space[Any]:
    """The space that `space_to_json` wrote.

    Raises:
        UsageError: the data is not what `space_to_json` writes.
    """
    try:
        kind = data["type"]
        if kind == "Dict":
            return spaces.Dict([(str(key), space_from_json(child)) for key, child in data["spaces"]])
        if kind == "Tuple":
            return spaces.Tuple([space_from_json(child) for child in data["spaces"]])
        if kind == "Discrete":
            return spaces.Discrete(int(data["n"]), start=int(data["start"]))
        if kind == "MultiDiscrete":
            dtype = np.dtype(data["dtype"])
            return spaces.MultiDiscrete(
                np.asarray(data["nvec"], dtype=dtype),
                dtype=dtype.type,
                start=np.asarray(data["start"], dtype=dtype),
            )
        if kind == "MultiBinary":
            return spaces.MultiBinary(
                [int(size) for size in data["n"]] if isinstance(data["n"], list) else int(data["n"])
            )
        if kind == "Box":
            shape, dtype = tuple(int(size) for size in data["shape"]), np.dtype(data["dtype"])
            low, high = (_bound_from_json(data[bound], shape, dtype) for bound in ("low", "high"))
            return spaces.Box(low, high, shape=shape, dtype=dtype.type)
    except (KeyError, TypeError, ValueError, OverflowError, AssertionError) as error:
        raise UsageError(f"this is not the description of a space: {type(error).__name__}: {error}") from error
    raise UsageError(f"this is not the description of a space: unknown type {kind!r}")


# ---- the recursion behind all of these ------------------------------------------------------------------------------


def _leaves(space: Space[Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for key, child in space.spaces.items():
            yield from _leaves(child, (*path, str(key)))
    elif isinstance(space, spaces.Tuple):
        for index, child in enumerate(space.spaces):
            yield from _leaves(child, (*path, str(index)))
    else:
        yield path, space


def _flatten_into(flat: dict[str, np.ndarray], space: Space[Any], value: Any, prefix: str, batched: bool) -> None:
    children: Iterator[tuple[str, Space[Any], Any]]
    try:
        if isinstance(space, spaces.Dict):
            children = ((str(key), child, value[key]) for key, child in space.spaces.items())
        else:
            assert isinstance(space, spaces.Tuple)
            children = ((str(i), child, value[i]) for i, child in enumerate(space.spaces))
        for key, child, child_value in children:
            name = f"{prefix}/{key}" if prefix else key
            if isinstance(child, spaces.Dict | spaces.Tuple):
                _flatten_into(flat, child, child_value, name, batched)
            else:
                flat[name] = _leaf_array(child, child_value, name, batched)
    except (KeyError, IndexError, TypeError) as error:
        where = f"observation {prefix!r}" if prefix else "the observation"
        raise UsageError(
            f"{where} does not have the parts that the env's observation_space promises: "
            f"{type(error).__name__}: {error}"
        ) from error


def _leaf_array(space: Space[Any], value: Any, name: str, batched: bool) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=space.dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(f"observation {name!r} is not an array of {space.dtype}: {error}") from error
    if array.shape[1 if batched else 0 :] != space.shape or (batched and array.ndim == 0):
        expected = ("N", *_shape(space)) if batched else _shape(space)
        raise UsageError(
            f"observation {name!r} has shape {array.shape} where the env's observation_space says {expected}; "
            "correct one of the two in the env"
        )
    return array


def _shape(space: Space[Any]) -> tuple[int, ...]:
    assert space.shape is not None  # only Dict and Tuple have none
    return tuple(int(size) for size in space.shape)


def _action_part(space: Space[Any], name: str) -> ActionPart:
    sizes: tuple[int, ...]
    if isinstance(space, spaces.Discrete):
        sizes, start = (int(space.n),), np.asarray(space.start, dtype=np.int64)
    elif isinstance(space, spaces.MultiDiscrete):
        sizes = tuple(int(size) for size in space.nvec.reshape(-1))
        offset = getattr(space, "start", None)
        start = np.zeros(space.shape, np.int64) if offset is None else np.asarray(offset, dtype=np.int64)
    elif isinstance(space, spaces.MultiBinary):
        sizes, start = (2,) * int(np.prod(space.shape, dtype=np.int64)), np.zeros(space.shape, np.int64)
    elif isinstance(space, spaces.Box):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        return ActionPart(
            name, "box", _shape(space), np.dtype(np.float32), (), np.zeros(space.shape, np.int64), low, high
        )
    else:
        raise UsageError(
            f"action {name!r} is a {type(space).__name__} space, which no policy here can act in; "
            "use Discrete, MultiDiscrete, MultiBinary, Box (and Tuple and Dict of them)"
        )
    shape = _shape(space)
    highest = np.asarray(sizes, dtype=np.float64).reshape(shape) - 1
    return ActionPart(name, "discrete", shape, np.dtype(np.int64), sizes, start, np.zeros(shape), highest)


def _decode(space: Space[Any], parts: Mapping[str, np.ndarray], prefix: str, batched: bool) -> Any:
    if isinstance(space, spaces.Dict):
        return {
            key: _decode(child, parts, f"{prefix}/{key}" if prefix else str(key), batched)
            for key, child in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            _decode(child, parts, f"{prefix}/{index}" if prefix else str(index), batched)
            for index, child in enumerate(space.spaces)
        )
    value = np.asarray(parts[prefix or LONE_ACTION])
    if isinstance(space, spaces.Box):
        return _decode_box(space, value)
    if isinstance(space, spaces.Discrete) and int(space.start) != 0:
        value = value + int(space.start)
    elif isinstance(space, spaces.MultiDiscrete) and getattr(space, "start", None) is not None:
        value = value + space.start
    value = value.astype(space.dtype, copy=False)
    return value if value.ndim else value[()]  # an unbatched Discrete action is a numpy integer, as space.sample() is


def _decode_box(space: spaces.Box, value: np.ndarray) -> np.ndarray:
    if np.issubdtype(space.dtype, np.integer):
        # round first: the cast would truncate towards zero and make the end points half as likely
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        return np.asarray(np.clip(np.rint(value.astype(np.float64)), low, high), dtype=space.dtype)
    return np.asarray(np.clip(value.astype(space.dtype, copy=False), space.low, space.high))


def _bound_to_json(bound: np.ndarray) -> Any:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(element) for element in value]
        if isinstance(value, float) and not np.isfinite(value):
            return "inf" if value > 0 else "-inf"
        return value

    # one number for the usual case; an 84 x 84 x 4 image would otherwise be 28,224 numbers
    if bound.size and (bound == bound.flat[0]).all():
        return plain(bound.flat[0].item())
    return plain(bound.tolist())


def _bound_from_json(data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    def number(value: Any) -> Any:
        if isinstance(value, list):
            return [number(element) for element in value]
        return float(value) if isinstance(value, str) else value

    return np.broadcast_to(np.asarray(number(data), dtype=dtype), shape).copy()
