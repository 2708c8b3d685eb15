"""Many games stepped natively by the emulator's own vector environment, with lives and scores reported beside ends.

What comes in: `AtariSettings` and int actions `[N]`. What leaves: frames `[N, stack, height, width]` uint8, in colour
`[N, stack, height, width, 3]`, scores `[N]` as the game counts them, real ends, and what a `GameRecord` says. Frame
skip, max-pooling, grey, resize, stack and resets happen in C++; no Python runs per game. This file does not know
clipping, learning or advantages.

Why not the emulator's `episodic_life` or `life_loss_info`: the first restarts the game at every life, so a full game
is never scored. The second only sets `terminated`; then a life lost in the very step that reaches the time limit looks
like one lost in the middle of a game, although the next row is a reset. Without either, `terminated` and
`truncated` keep their meaning and the lives tell the rest.

Why NEXT_STEP autoreset: the row that resets carries the final observation and costs one row per game (thousands of
steps); SAME_STEP keeps a second array of final frames and hides the last number of lives behind the reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from sf_plugins_atari.game_record import GameRecord
from sf_plugins_atari.roms import rom_path
from sf_plugins_atari.settings import AtariSettings

MAX_SEED = np.iinfo(np.int32).max  # the emulators keep seeds in 32 bits; ALE reads negative ones as "no seed"


class NativeVectorEnv(AtariVectorEnv):
    """`AtariVectorEnv` that plays full, un-clipped games and says in `infos["life_lost"]` [N] which rows lost a life.

    A row that ends the game by its rules is not marked as well; one that the time limit cuts may be.
    """

    # An own dict: the base class writes its autoreset mode into a dict that all vector environments share.
    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(
        self, settings: AtariSettings, num_envs: int, *, num_threads: int, seeds: Sequence[int] | None = None
    ) -> None:
        """Load `num_envs` copies of the game.

        Args:
            settings: how the game is played and seen.
            num_envs: how many games.
            num_threads: how many threads emulate them.
            seeds: used by a first `reset` that names none; without either, the games differ from run to run.

        Raises:
            UsageError: the emulator has no such game.
        """
        rom_path(settings.rom)
        super().__init__(
            settings.rom,
            num_envs,
            num_threads=num_threads,
            max_num_frames_per_episode=settings.max_steps * settings.frame_skip,
            repeat_action_probability=settings.sticky_actions,
            full_action_space=settings.full_action_set,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            img_height=settings.height,
            img_width=settings.width,
            grayscale=settings.grayscale,
            stack_num=settings.frame_stack,
            frameskip=settings.frame_skip,
            maxpool=True,
            noop_max=max(1, settings.noop_max),
            use_fire_reset=settings.fire_reset,
            episodic_life=False,
            life_loss_info=False,
            reward_clipping=False,
        )
        self._first_seeds = seeds
        self._record = GameRecord(settings, num_envs)

    def reset(  # type: ignore[override]  # the base class leaves the kind of observation open
        self,
        *,
        seed: int | Sequence[int] | npt.NDArray[np.integer] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start new games; `seed` is one number (game i gets seed + i) or one per game that is reset."""
        marked = (options or {}).get("reset_mask")
        if seed is None:
            seed = self._first_seeds
        self._first_seeds = None  # afterwards no seed means: go on with the generators as they are
        if isinstance(seed, (int, np.integer)):
            num_reset = self.num_envs if marked is None else int(np.count_nonzero(marked))
            seed = np.arange(int(seed), int(seed) + num_reset)
        if seed is not None:
            seed = np.asarray(seed, dtype=np.int64) % MAX_SEED
        observation, infos = super().reset(seed=seed, options=options)
        infos.update(self._record.start(infos["lives"], marked))
        return observation, infos

    def step(
        self, actions: npt.NDArray[np.integer]
    ) -> tuple[
        npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
    ]:
        """Play one action, [N], for `frame_skip` frames in every game; rewards are the points won, un-clipped."""
        observation, reward, terminated, truncated, infos = super().step(np.asarray(actions, dtype=np.int64))
        infos.update(self._record.step(reward, infos["lives"], terminated, truncated))
        return observation, reward, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators and join their threads now instead of at some garbage collection."""
        self.ale = None  # type: ignore[assignment]
