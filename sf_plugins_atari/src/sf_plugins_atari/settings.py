"""How a game is played and seen: one record that both back ends read.

What comes in: the configuration of the run and the game's own parameters. What leaves: `AtariSettings`, and the
number of emulator threads. This file knows neither the emulator nor numpy.

Every value is written down, also where it equals a default of the emulator: the native vector environment,
`gymnasium.make_vec("ALE/Pong-v5")` and EnvPool differ in theirs (sticky actions 0 or 0.25, rewards clipped or not).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AtariSettings:
    """The preprocessing of Mnih et al. (2015) as Sample Factory, CleanRL and stable-baselines3 use it."""

    rom: str
    """The emulator's name of the game, in snake case."""
    max_frames: int
    """Emulator frames after which the game is truncated."""
    frame_skip: int = 4
    """Emulator frames per action; the observation is the pixel-wise maximum of the last two."""
    frame_stack: int = 4
    noop_max: int = 30
    """A game starts after 0 to `noop_max` - 1 frames of doing nothing."""
    fire_reset: bool = True
    """Press FIRE once at the start of a game that has that button."""
    sticky_actions: float = 0.0
    """Probability that a frame repeats the previous action instead (Machado et al. 2018 use 0.25)."""
    full_action_set: bool = False
    """All 18 actions of the console instead of those the game uses."""
    height: int = 84
    width: int = 84


def settings_from(cfg: Mapping[str, Any], *, rom: str, max_frames: int) -> AtariSettings:
    """Read the settings of one game out of the run's configuration."""
    return AtariSettings(
        rom=rom, max_frames=max_frames, frame_skip=cfg["env_frameskip"], frame_stack=cfg["env_framestack"]
    )


def emulator_threads(cfg: Mapping[str, Any], num_envs: int) -> int:
    """Return how many threads emulate `num_envs` games in this process.

    The emulator's own choice is one per game up to the machine's cores, whatever the other processes of the run do.
    Here the cores this process may use are shared among the rollout workers. In serial mode there are none: the games
    and the learner take turns, so both may have the whole budget (`--torch_threads`).
    """
    chosen = cfg.get("atari_threads") or 0
    if chosen <= 0 and cfg.get("serial_mode"):
        chosen = cfg.get("torch_threads") or _usable_cores()
    elif chosen <= 0:
        num_workers = cfg.get("num_workers")
        chosen = _usable_cores() // num_workers if isinstance(num_workers, int) else 1
    return max(1, min(int(chosen), num_envs))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: the cores this process is allowed on, not all of the machine's
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
