"""Many games stepped by EnvPool: another emulator loop, the same games, frames and reports as the native vector's.

What comes in, what leaves: as in `vector_env`. EnvPool (Weng et al. 2022) is a package of its own and heavy, so it is
imported when it is asked for. This file does not know clipping, learning or advantages.

Made equal here: frames from before a game's start are black, as in the native vector (EnvPool repeats the first frame);
a game over in the step that reaches the time limit terminates; colour comes last; a `reset` with other seeds than those
in use builds the pool again, since EnvPool takes seeds only then. What stays different is the number and order of the
frames that a game waits before it starts, and the final observation of a step that is cut short.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from sf_core.utils.errors import UsageError
from sf_plugins_atari.game_record import GameRecord
from sf_plugins_atari.roms import rom_path
from sf_plugins_atari.settings import AtariSettings
from sf_plugins_atari.vector_env import MAX_SEED


class EnvPoolVectorEnv(VectorEnv[npt.NDArray[np.uint8], npt.NDArray[np.integer], npt.NDArray[Any]]):
    """Full, un-clipped games; `infos["life_lost"]` [N] says which rows lost a life, as `NativeVectorEnv` does."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(
        self, settings: AtariSettings, num_envs: int, *, num_threads: int, seeds: Sequence[int] | None = None
    ) -> None:
        """Load `num_envs` copies of the game; arguments and errors as for `NativeVectorEnv`.

        Raises:
            UsageError: EnvPool is not installed, or has no such game.
        """
        rom_path(settings.rom)
        self._settings = settings
        self._num_threads = num_threads
        self.num_envs = num_envs
        self._seeds = _seeds(seeds, num_envs)
        self._pool = self._make_pool()
        self._unused = True
        self._record = GameRecord(settings, num_envs)
        self.single_observation_space = Box(0, 255, settings.observation_shape, np.uint8)
        self.single_action_space = Discrete(int(self._pool.action_space.n))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int] | npt.NDArray[np.integer] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start new games; `seed` is one number (game i gets seed + i) or one per game."""
        if seed is not None:
            seeds = _seeds(seed, self.num_envs)
            if not (self._unused and seeds == self._seeds):
                self._seeds = seeds
                self._pool = self._make_pool()
        self._unused = False
        observation, infos = self._pool.reset()
        infos.update(self._record.start(infos["lives"]))
        return self._frames(observation, infos), infos

    def step(
        self, actions: npt.NDArray[np.integer]
    ) -> tuple[
        npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
    ]:
        """Play one action, [N], for `frame_skip` frames in every game; rewards are the points won, un-clipped."""
        observation, reward, ended, truncated, infos = self._pool.step(np.asarray(actions, dtype=np.int32))
        terminated = infos["terminated"].astype(np.bool_) & (ended | truncated)  # the emulator says: game over
        truncated = truncated & ~terminated
        infos.update(self._record.step(reward, infos["lives"], terminated, truncated))
        return self._frames(observation, infos), reward, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators and join their threads now instead of at some garbage collection."""
        self._pool = None

    def _make_pool(self) -> Any:
        settings = self._settings
        return _envpool().make(
            _task_id(settings.rom),
            env_type="gymnasium",
            num_envs=self.num_envs,
            num_threads=self._num_threads,
            seed=self._seeds,
            max_episode_steps=settings.max_steps,
            repeat_action_probability=settings.sticky_actions,
            full_action_space=settings.full_action_set,
            img_height=settings.height,
            img_width=settings.width,
            gray_scale=settings.grayscale,
            stack_num=settings.frame_stack,
            frame_skip=settings.frame_skip,
            noop_max=max(1, settings.noop_max),
            use_fire_reset=settings.fire_reset,
            episodic_life=False,
            zero_discount_on_life_loss=False,
            reward_clip=False,
            use_inter_area_resize=True,
        )

    def _frames(self, observation: npt.NDArray[np.uint8], infos: dict[str, Any]) -> npt.NDArray[np.uint8]:
        """Colour last, and black frames before the first of a game."""
        stack = self._settings.frame_stack
        if not self._settings.grayscale:  # [N, stack * 3, height, width], a view from here on
            observation = observation.reshape(self.num_envs, stack, 3, *observation.shape[2:]).transpose(0, 1, 3, 4, 2)
        num_steps = infos["elapsed_step"]  # [N], 0 after a reset
        for row in np.flatnonzero(num_steps < stack - 1):
            observation[row, : stack - 1 - num_steps[row]] = 0
        return observation


def _seeds(seed: int | Sequence[int] | npt.NDArray[np.integer] | None, num_envs: int) -> list[int]:
    """One seed a game, in the emulator's range; random ones without any."""
    if seed is None:
        seed = np.random.SeedSequence().generate_state(num_envs)
    elif isinstance(seed, (int, np.integer)):
        seed = range(int(seed), int(seed) + num_envs)
    return [int(one) % MAX_SEED for one in seed]


def _envpool() -> Any:
    if importlib.util.find_spec("envpool") is None:
        raise UsageError("--atari_backend=envpool needs EnvPool: pip install envpool, or use --atari_backend=ale.")
    return importlib.import_module("envpool")


def _task_id(rom: str) -> str:
    task_id = "".join(word.capitalize() for word in rom.split("_")) + "-v5"
    if task_id not in _envpool().list_all_envs():
        raise UsageError(f"EnvPool has no game {rom!r}; use --atari_backend=ale.")
    return task_id
