"""The episodes that single envs are in, as what led there: how each one began, and the actions since.

In: resets and actions while they happen. Out: plain data and arrays, from which new copies of the envs are brought to
the same place by playing the actions again. Not known here: policies, files, what a step means.

A simulator cannot be written into a file, but most are a function of `np_random` and of the actions. Whether an env is
one shows when it is played again: it has to end up with the observation it had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from sf_core.envs.adapters.wrapper_data import (
    WrapperData,
    random_state_of,
    restore_random_state_of,
    restore_wrapper_data,
    wrapper_data,
)

MOST_STEPS = 100_000
"""Of all envs together: playing them again takes as long as they took, and a checkpoint holds their actions."""

Actions = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class SavedEpisodes:
    """The episodes of all envs at one moment.

    Attributes:
        facts: one JSON object for each env.
        arrays: `action.<part>` `[steps of all envs, *part]`, those of env 0 first, and arrays of wrappers.
    """

    facts: list[dict[str, Any]]
    arrays: dict[str, np.ndarray]


@dataclass(slots=True)
class EpisodeStart:
    """How the present episode of one env began.

    Attributes:
        first_step: steps that all envs had taken together before.
        seed: given to `reset`.
        np_random: state of the env's generator before the reset; None where the env has none.
        training_info: what the env had last been told (`TrainingInfoInterface`).
        wrappers: what its wrappers remembered before the reset.
        played: actions it took alone after the reset, before those it took together with the others.
    """

    first_step: int
    seed: int | None
    np_random: dict[str, Any] | None
    training_info: dict[str, Any]
    wrappers: WrapperData
    played: list[Any] = field(default_factory=list)


class EpisodeHistory:
    """Notes what happens to some envs that are stepped together.

    What is handed out is how things stood at the last `mark`: a run may be interrupted at any moment, and goes on from
    the last moment at which nothing was half done.
    """

    def __init__(self, envs: Sequence[Any]) -> None:
        self._envs = envs
        self._starts: list[EpisodeStart | None] = [None] * len(envs)
        self._actions: list[Actions] = []  # of all envs, one entry for a step
        self._first = 0  # steps before the first entry
        self._marked: tuple[int, list[EpisodeStart | None], dict[str, np.ndarray]] | None = None

    @property
    def _now(self) -> int:
        return self._first + len(self._actions)

    def begins(
        self, index: int, seed: int | None, training_info: Mapping[str, Any], first_step: int | None = None
    ) -> None:
        """Env `index` is about to be reset; its first step follows `first_step` others (None: all so far)."""
        env, generator = self._envs[index], _generator_of(self._envs[index])
        self._starts[index] = EpisodeStart(
            first_step=self._now if first_step is None else first_step,
            seed=seed,
            np_random=None if generator is None else random_state_of(generator),
            training_info=dict(training_info),
            wrappers=wrapper_data(env),
        )

    def plays(self, index: int, action: Any) -> None:
        """Env `index` takes a step alone."""
        if (start := self._starts[index]) is not None:
            start.played.append(action)

    def acts(self, actions: Actions) -> None:
        """All envs take a step: `{part: [N, *part]}`, which nobody changes any more."""
        self._actions.append(actions)

    def acts_again(self, actions: Sequence[Sequence[Actions]]) -> None:
        """Each env, which has taken no steps so far, took these: one item for each env, one entry for each step."""
        longest = max(len(taken) for taken in actions)
        nothing = {part: np.zeros_like(rows) for taken in actions for one in taken[:1] for part, rows in one.items()}
        for ago in range(longest, 0, -1):
            rows_of = [taken[-ago] if ago <= len(taken) else nothing for taken in actions]
            self.acts({part: np.concatenate([rows[part] for rows in rows_of]) for part in nothing})

    def mark(self, observation: Mapping[str, np.ndarray]) -> None:
        """This is where things stand, with `observation` as what to act on next."""
        now, most = self._now, MOST_STEPS // len(self._envs)
        needed = min((start.first_step for start in self._starts if start is not None), default=now)
        needed = max(needed, now - most, self._first)
        del self._actions[: needed - self._first]
        self._first = needed
        self._marked = (now, list(self._starts), {key: array.copy() for key, array in observation.items()})

    def saved(self, action_space: Any) -> SavedEpisodes | None:
        """How things stood at the last mark; None where an episode is too long, or where nothing was marked."""
        if self._marked is None:
            return None
        now, starts, observation = self._marked
        facts: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        actions: dict[str, list[np.ndarray]] = {}
        for index, start in enumerate(starts):
            if start is None or start.first_step < self._first:
                return None
            for step in self._actions[start.first_step - self._first : now - self._first]:
                for part, rows in step.items():
                    actions.setdefault(part, []).append(rows[index])
            facts.append(
                {
                    "steps": now - start.first_step,
                    "seed": start.seed,
                    "np_random": _without_arrays(start.np_random, f"np_random.{index}", arrays),
                    "training_info": start.training_info,
                    "played": action_space.to_jsonable(start.played),
                    "wrappers": _without_arrays(start.wrappers, f"wrapper.{index}", arrays),
                    "observation": digest(observation, index),
                }
            )
        arrays |= {f"action.{part}": np.stack(rows) for part, rows in actions.items()}  # [steps of all envs, *part]
        return SavedEpisodes(facts, arrays)


def prepare_replay(env: Any, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Put what lasts longer than an episode, generator and wrappers, where it was before the episode began.

    Raises:
        ValueError: this is another kind of env.
    """
    restore_wrapper_data(env, _with_arrays(facts["wrappers"], arrays))
    generator = _generator_of(env)
    if (generator is None) != (facts["np_random"] is None):
        raise ValueError("only one of them has np_random")
    if generator is not None:
        restore_random_state_of(generator, _with_arrays(facts["np_random"], arrays))


def actions_of(saved: SavedEpisodes) -> list[list[Actions]]:
    """The actions of each env, one entry `{part: [1, *part]}` for each step."""
    parts = {name.removeprefix("action."): rows for name, rows in saved.arrays.items() if name.startswith("action.")}
    lengths = [int(facts["steps"]) for facts in saved.facts]
    if any(length < 0 for length in lengths) or any(len(rows) != sum(lengths) for rows in parts.values()):
        raise ValueError("it does not have as many actions as steps")
    rows_left = iter(range(sum(lengths)))
    return [
        [{part: rows[row : row + 1] for part, rows in parts.items()} for row in islice(rows_left, length)]
        for length in lengths
    ]


def digest(observation: Mapping[str, np.ndarray], index: int) -> str:
    """Row `index` of an observation, bit for bit."""
    sha = hashlib.sha256()
    for key, array in sorted(observation.items()):
        sha.update(key.encode())
        sha.update(np.ascontiguousarray(array[index]).tobytes())
    return sha.hexdigest()


def _generator_of(env: Any) -> np.random.Generator | None:
    generator = getattr(getattr(env, "unwrapped", env), "np_random", None)
    return generator if isinstance(generator, np.random.Generator) else None


def _without_arrays(data: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """`data` with its arrays moved to `arrays`, and their names in their place."""
    if isinstance(data, np.ndarray):
        if data.dtype.name in ("uint16", "uint32", "uint64"):  # of generators; not every format of tensors has these
            return data.tolist()
        arrays[name] = data
        return {"array": name}
    if isinstance(data, dict):
        return {key: _without_arrays(item, f"{name}.{key}", arrays) for key, item in data.items()}
    if isinstance(data, list):
        return [_without_arrays(item, f"{name}.{position}", arrays) for position, item in enumerate(data)]
    return data


def _with_arrays(data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(data, dict):
        if set(data) == {"array"}:
            return arrays[data["array"]]
        return {key: _with_arrays(item, arrays) for key, item in data.items()}
    return [_with_arrays(item, arrays) for item in data] if isinstance(data, list) else data
