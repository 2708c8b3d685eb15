"""How a game is played and seen: one record that every back end reads.

What comes in: the configuration of the run and the game's ROM. What leaves: `AtariSettings`, and the number of emulator
threads. This file knows neither the emulators nor numpy.

Every value is written down, also where it equals a default of an emulator: the native vector environment,
`gymnasium.make_vec("ALE/Pong-v5")` and EnvPool differ in theirs (sticky actions 0 or 0.25, rewards clipped or not).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sf_core.utils.errors import UsageError
from sf_plugins_atari.games import DEFAULT_MAX_FRAMES


@dataclass(frozen=True, kw_only=True)
class AtariSettings:
    """The preprocessing of Mnih et al. (2015) as Sample Factory, CleanRL and stable-baselines3 use it."""

    rom: str
    """The emulator's name of the game, in snake case."""
    max_frames: int = DEFAULT_MAX_FRAMES
    """Emulator frames after which the game is truncated, counted from the first observation."""
    frame_skip: int = 4
    """Emulator frames per action; the observation is the pixel-wise maximum of the last two."""
    action_repeat: int = 1
    """Steps that are one action of the agent, as somebody who watches sees more frames than the agent acts on."""
    frame_stack: int = 4
    noop_max: int = 30
    """A game starts after fewer than this many frames of doing nothing; 0 and 1 mean none."""
    fire_reset: bool = True
    """Press FIRE once at the start of a game that has that button."""
    sticky_actions: float = 0.0
    """Probability that a frame repeats the previous action instead (Machado et al. 2018 use 0.25)."""
    full_action_set: bool = False
    """All 18 actions of the console instead of those the game uses."""
    grayscale: bool = True
    """Frames `[height, width]` of grey values instead of `[height, width, 3]` of red, green and blue."""
    episodic_life: bool = True
    """Report lost lives, which learning takes for ends; the game and its score go on."""
    height: int = 84
    width: int = 84

    @property
    def max_steps(self) -> int:
        """Steps after which the game is truncated: `max_frames` rounded up to whole actions."""
        return -(-self.max_frames // (self.frame_skip * self.action_repeat)) * self.action_repeat

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Of one game: `[stack, height, width]`, in colour `[stack, height, width, 3]`."""
        return (self.frame_stack, self.height, self.width, *(() if self.grayscale else (3,)))


def settings_from(cfg: Mapping[str, Any], rom: str) -> AtariSettings:
    """Read the settings of one game out of the run's configuration.

    Raises:
        UsageError: a value that no game can be played with.
    """
    sticky, noop_max, max_frames = cfg["atari_sticky_actions"], cfg["atari_noop_max"], cfg["atari_max_frames"]
    if not 0 <= sticky < 1:
        raise UsageError(f"--atari_sticky_actions={sticky} is no probability below 1; use 0 or 0.25.")
    if noop_max < 0:
        raise UsageError(f"--atari_noop_max={noop_max} is negative; use 0 for games that start at once, or 30.")
    if max_frames < 1:
        raise UsageError(f"--atari_max_frames={max_frames} leaves no time to play; use {DEFAULT_MAX_FRAMES}.")
    return AtariSettings(
        rom=rom,
        max_frames=max_frames,
        frame_skip=cfg["env_frameskip"],
        action_repeat=cfg.get("render_action_repeat") or 1,
        frame_stack=cfg["env_framestack"],
        noop_max=noop_max,
        fire_reset=cfg["atari_fire_reset"],
        sticky_actions=sticky,
        full_action_set=cfg["atari_full_action_set"],
        grayscale=cfg["atari_grayscale"],
        episodic_life=cfg["atari_episodic_life"],
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
