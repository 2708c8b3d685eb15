"""What the adapters share: arrays for observations, resetting with a seed, whose an error is, infos, the first frame.

In: what envs return. Out: plain arrays and numbers. Not known here: which adapter asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from sf_core.envs.seeding import SeedSource
from sf_core.envs.timestep import EPISODE_EXTRA_STATS, RECORDED_EPISODE, TRUE_OBJECTIVE
from sf_core.plugins.plan import accepts

_LONGEST_TEXT = 200  # characters of an action or of seeds in an error

TENSOR_DEVICE = "tensor_device"
"""Key in the metadata of a vector env that gives and takes torch tensors: the device they are on (`"cuda:0"`)."""


def observation_arrays(space: spaces.Dict, num_agents: int) -> dict[str, np.ndarray]:
    """Zeroed arrays for a flat observation of every agent: key -> `[N, *space]`."""
    return {key: np.zeros((num_agents, *(leaf.shape or ())), leaf.dtype) for key, leaf in space.spaces.items()}


def reset_env(env: Any, seed: int | None) -> Any:
    """`env.reset`, with the seed if there is one and the env takes one."""
    return env.reset(seed=seed) if seed is not None and accepts(env.reset, "seed") else env.reset()


def tell_whose(error: Exception, seeds: SeedSource, env_indices: Sequence[int], action: Any = None) -> None:
    """Add to `error`, which some of the envs of a vector raised, which ones these are, their seeds and the action."""
    ids = [seeds.first_env_id + index for index in env_indices]
    which = f"env {ids[0]}" if len(ids) == 1 else f"envs {ids[0]} to {ids[-1]}"
    given = [seeds.given[index] for index in env_indices] if seeds.given else []
    parts = [which, f"seed{'s' if len(given) > 1 else ''} {_shortened(', '.join(map(str, given)))}" if given else ""]
    if action is not None:
        parts.append(f"last action{'s' if len(ids) > 1 else ''} {_shortened(repr(action))}")
    error.add_note(", ".join(part for part in parts if part))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."


_RECORDED = {"r": "RecordEpisodeStatistics_reward", "l": "RecordEpisodeStatistics_len"}  # Sample Factory's names


def stats_of(info: Any) -> dict[str, float]:
    """`episode_extra_stats`, `true_objective` and a recorded `episode` of one env's info; only what is a number."""
    if not isinstance(info, Mapping):
        return {}
    stats: dict[str, float] = {}
    given = info.get(EPISODE_EXTRA_STATS)
    pairs = dict(given) if isinstance(given, Mapping) else {}
    if TRUE_OBJECTIVE in info:
        pairs[TRUE_OBJECTIVE] = info[TRUE_OBJECTIVE]
    recorded = info.get(RECORDED_EPISODE)
    if isinstance(recorded, Mapping):
        pairs |= {name: recorded[key] for key, name in _RECORDED.items() if key in recorded}
    for key, value in pairs.items():
        if np.size(value) == 1 and np.asarray(value).dtype.kind in "biuf":
            stats[str(key)] = float(np.asarray(value).reshape(()))
    return stats


def first_frame(frames: Any) -> np.ndarray | None:
    """The first env's picture out of what `render` returned, if it is one."""
    if isinstance(frames, list | tuple):
        frames = frames[0] if frames else None
    return frames if isinstance(frames, np.ndarray) else None


def render_fps(env: Any) -> float:
    """Frames a second at which the env's pictures should be shown; 30 if it does not say."""
    return float((getattr(env, "metadata", None) or {}).get("render_fps") or 30.0)


def draws_itself(env: Any) -> bool:
    """Whether an env in render mode "human" keeps to Gymnasium's contract for it, which it declares by naming the mode.

    It then draws with every step and keeps its own time; asking it to draw once more would halve its speed.
    """
    return "human" in ((getattr(env, "metadata", None) or {}).get("render_modes") or ())
