"""Wrappers for single environments, under the names that scripts written for Sample Factory import.

In: a Gymnasium env. Out: one that differs in one respect. Gymnasium's own wrappers (`gymnasium.wrappers`) do most of
this and more; use these where a script asks for them by name. Clipping and scaling of rewards is better left to
`--reward_clip` and `--reward_scale`, which keep the reported returns as they are.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from sf_core.envs.timestep import EPISODE_EXTRA_STATS, LIFE_LOST
from sf_core.utils.errors import UsageError

__all__ = [
    "ClipRewardEnv",
    "EpisodeCounterWrapper",
    "EpisodicLifeEnv",
    "FireResetEnv",
    "MaxAndSkipEnv",
    "NoopResetEnv",
    "NumpyObsWrapper",
    "PixelFormatChwWrapper",
    "RecordingWrapper",
    "ResizeWrapper",
    "RewardScalingWrapper",
    "TimeLimitWrapper",
]

Step = tuple[Any, Any, bool, bool, dict[str, Any]]
_AnyEnv = gym.Env[Any, Any]
_Wrapper = gym.Wrapper[Any, Any, Any, Any]


# ---- observations ---------------------------------------------------------------------------------------------------


class NumpyObsWrapper(gym.ObservationWrapper[Any, Any, Any]):
    """Observations as numpy arrays, whatever the env returned (lists, lazy frames)."""

    def observation(self, observation: Any) -> np.ndarray:
        """The observation as an array."""
        return np.asarray(observation)


class ResizeWrapper(gym.ObservationWrapper[Any, Any, Any]):
    """Images (uint8, `[H, W, C]` or `[H, W]`) resized to `h` x `w`; every image of a Dict space.

    Args:
        env: its images are uint8.
        w: new width.
        h: new height.
        grayscale: RGB to one channel (ITU-R 601 luma).
        add_channel_dim: keep an axis of one channel.
        area_interpolation: average areas instead of taking the nearest pixel.
    """

    def __init__(
        self,
        env: _AnyEnv,
        w: int,
        h: int,
        grayscale: bool = True,
        add_channel_dim: bool = False,
        area_interpolation: bool = False,
    ) -> None:
        super().__init__(env)
        self.w, self.h = w, h
        self.grayscale, self.add_channel_dim, self.area_interpolation = grayscale, add_channel_dim, area_interpolation
        space = env.observation_space
        if isinstance(space, spaces.Dict):
            self.observation_space = spaces.Dict(
                {key: self._new_space(leaf) if _is_image(leaf) else leaf for key, leaf in space.spaces.items()}
            )
            self._images = [key for key, leaf in space.spaces.items() if _is_image(leaf)]
        else:
            self.observation_space, self._images = self._new_space(space), []

    def observation(self, observation: Any) -> Any:
        """The observation with its images resized; the others as they were."""
        if not isinstance(observation, dict):
            return self._resized(observation)
        return {key: self._resized(x) if key in self._images else x for key, x in observation.items()}

    def _new_space(self, space: spaces.Space[Any]) -> spaces.Box:
        if not _is_image(space):
            raise UsageError(f"ResizeWrapper needs images of uint8, [H, W, C] or [H, W]; this env returns {space}")
        return spaces.Box(0, 255, self._resized(np.zeros(space.shape or (), np.uint8)).shape, np.uint8)

    def _resized(self, image: Any) -> Any:
        if image is None:  # of an agent that sits out
            return None
        from PIL import Image  # only here: envs without images need not load it

        method = Image.Resampling.BOX if self.area_interpolation else Image.Resampling.NEAREST
        array = np.asarray(image)
        if array.ndim == 3 and self.grayscale and array.shape[2] in (3, 4):
            array = np.asarray(Image.fromarray(array[..., :3]).convert("L"))
        planes = array[..., None] if array.ndim == 2 else array
        new = [
            np.asarray(Image.fromarray(plane).resize((self.w, self.h), method)) for plane in np.moveaxis(planes, 2, 0)
        ]
        resized = np.stack(new, axis=2)
        return resized[..., 0] if resized.shape[2] == 1 and not self.add_channel_dim else resized


class PixelFormatChwWrapper(gym.ObservationWrapper[Any, Any, Any]):
    """`[H, W, C]` images as `[C, H, W]`; in a Dict space the one under `obs`. The encoders here take both."""

    def __init__(self, env: _AnyEnv) -> None:
        super().__init__(env)
        space = env.observation_space
        self._in_dict = isinstance(space, spaces.Dict)
        image = space["obs"] if isinstance(space, spaces.Dict) else space
        if not isinstance(image, spaces.Box) or len(image.shape) != 3:
            raise UsageError(f"PixelFormatChwWrapper needs images [H, W, C]; this env returns {image}")
        moved = spaces.Box(
            np.moveaxis(image.low, 2, 0), np.moveaxis(image.high, 2, 0), dtype=np.dtype(image.dtype).type
        )
        if isinstance(space, spaces.Dict):
            self.observation_space = spaces.Dict({**space.spaces, "obs": moved})
        else:
            self.observation_space = moved

    def observation(self, observation: Any) -> Any:
        """The observation with its image's channels first."""
        if observation is None:
            return None
        if self._in_dict:
            return {**observation, "obs": np.moveaxis(observation["obs"], 2, 0)}
        return np.moveaxis(observation, 2, 0)


# ---- rewards --------------------------------------------------------------------------------------------------------


class RewardScalingWrapper(gym.RewardWrapper[Any, Any]):
    """Rewards times `scaling_factor`."""

    def __init__(self, env: _AnyEnv, scaling_factor: float) -> None:
        super().__init__(env)
        self._scaling_factor = scaling_factor

    def reward(self, reward: Any) -> float:
        """The scaled reward."""
        return float(reward) * self._scaling_factor


class ClipRewardEnv(gym.RewardWrapper[Any, Any]):
    """Only the sign of the reward: -1, 0 or 1 (Mnih et al. 2015)."""

    def reward(self, reward: Any) -> float:
        """The sign of the reward."""
        return float(np.sign(float(reward)))


# ---- episodes -------------------------------------------------------------------------------------------------------


class TimeLimitWrapper(_Wrapper):
    """Truncates episodes after `limit` simulator steps (`info["num_frames"]` for each step, 1 if the env says nothing).

    `random_variation_steps` makes the limit of each episode a random one, that much more or less.
    """

    def __init__(self, env: _AnyEnv, limit: int, random_variation_steps: int = 0) -> None:
        super().__init__(env)
        self._limit, self._variation = limit, random_variation_steps
        self._frames, self._frames_allowed = 0, limit

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode with a limit of its own."""
        result = self.env.reset(seed=seed, options=options)
        self._frames = 0
        random = self.env.unwrapped.np_random
        self._frames_allowed = self._limit + int(random.integers(-self._variation, self._variation + 1))
        return result

    def step(self, action: Any) -> Step:
        """One step, truncated where the limit is reached."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._frames += int(info.get("num_frames", 1))
        truncated = bool(truncated) or (not terminated and self._frames >= self._frames_allowed)
        return observation, reward, bool(terminated), truncated, info


class EpisodeCounterWrapper(_Wrapper):
    """Reports how many episodes this env has finished, as the metric `episode_number`."""

    def __init__(self, env: _AnyEnv) -> None:
        super().__init__(env)
        self.episode_count = 0

    def step(self, action: Any) -> Step:
        """One step; the one that ends an episode has its number."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self.episode_count += 1
            stats = {**info.get(EPISODE_EXTRA_STATS, {}), "episode_number": self.episode_count}
            info = {**info, EPISODE_EXTRA_STATS: stats}
        return observation, reward, bool(terminated), bool(truncated), info


class RecordingWrapper(_Wrapper):
    """Writes every frame as PNG and the actions as `actions.json`, one folder per episode below `record_to`.

    A folder is called `ep_<number>_p<player>` while its episode lasts, and gets its return added when it is over.
    Numbers go on from what is there already: a run that is continued, or another env, writes beside it.
    Observations must be RGB images `[H, W, 3]` of uint8.
    """

    def __init__(self, env: _AnyEnv, record_to: str | Path, player_id: int) -> None:
        super().__init__(env)
        self._record_to, self._player_id = Path(record_to), player_id
        self._num_episodes = 0
        self._folder: Path | None = None
        self._actions: list[Any] = []
        self._return = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Finish the folder of the last episode and begin the next one."""
        self._finish()
        self._folder = self._new_folder()
        self._actions, self._return = [], 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Step:
        """One step, recorded."""
        from PIL import Image

        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._folder is not None:
            Image.fromarray(np.asarray(observation)).save(self._folder / f"{len(self._actions):05d}.png")
            self._actions.append(np.asarray(action).tolist())
            self._return += float(reward)
        return observation, reward, bool(terminated), bool(truncated), info

    def close(self) -> None:
        """Finish the folder of the last episode, and close the env."""
        self._finish()
        super().close()

    def _new_folder(self) -> Path:
        while True:
            folder = self._record_to / f"ep_{self._num_episodes:03d}_p{self._player_id}"
            self._num_episodes += 1
            if not any(self._record_to.glob(f"{folder.name}_r*")):
                with suppress(FileExistsError):
                    folder.mkdir(parents=True)
                    return folder

    def _finish(self) -> None:
        if self._folder is None:
            return
        (self._folder / "actions.json").write_text(json.dumps(self._actions))
        self._folder.rename(self._folder.with_name(f"{self._folder.name}_r{self._return:.2f}"))
        self._folder = None


# ---- Atari (Machado et al. 2018; names as in OpenAI baselines) ------------------------------------------------------


class NoopResetEnv(_Wrapper):
    """Begins every episode with 1 to `noop_max` steps of action 0."""

    def __init__(self, env: _AnyEnv, noop_max: int = 30) -> None:
        super().__init__(env)
        self.noop_max = noop_max
        self.noop_action = 0
        self.override_num_noops: int | None = None
        _check_meaning(env, 0, "NOOP")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode somewhere else than always."""
        observation, info = self.env.reset(seed=seed, options=options)
        number = self.override_num_noops
        if number is None:
            number = int(self.env.unwrapped.np_random.integers(1, self.noop_max + 1))
        for _ in range(number):
            observation, _, terminated, truncated, info = self.env.step(self.noop_action)
            if terminated or truncated:
                observation, info = self.env.reset(options=options)
        return observation, info


class FireResetEnv(_Wrapper):
    """Presses FIRE, then the action after it, where a game waits for it."""

    def __init__(self, env: _AnyEnv) -> None:
        super().__init__(env)
        _check_meaning(env, 1, "FIRE")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode that is under way."""
        observation, info = self.env.reset(seed=seed, options=options)
        for action in (1, 2):
            observation, _, terminated, truncated, info = self.env.step(action)
            if terminated or truncated:
                observation, info = self.env.reset(options=options)
        return observation, info


class EpisodicLifeEnv(_Wrapper):
    """A lost life ends what is learned from, not the episode: `info["life_lost"]`.

    Unlike Sample Factory's wrapper of this name it never claims that the episode ended, so returns, lengths and the
    video are those of whole games, and no reset has to be faked.
    """

    def __init__(self, env: _AnyEnv) -> None:
        super().__init__(env)
        self.lives = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a game."""
        result = self.env.reset(seed=seed, options=options)
        self.lives = self._lives()
        return result

    def step(self, action: Any) -> Step:
        """One step, with `life_lost` in its info."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        lives = self._lives()
        info = {**info, LIFE_LOST: lives < self.lives}
        self.lives = lives
        return observation, reward, bool(terminated), bool(truncated), info

    def _lives(self) -> int:
        unwrapped: Any = self.env.unwrapped
        return int(unwrapped.ale.lives())


class MaxAndSkipEnv(_Wrapper):
    """Repeats every action `skip` times; the observation is the brighter of the last two frames, pixel by pixel."""

    def __init__(self, env: _AnyEnv, skip: int = 4) -> None:
        super().__init__(env)
        self._skip = skip
        if fps := (env.metadata or {}).get("render_fps"):  # a picture for every `skip` frames is still real time
            self.metadata = {**env.metadata, "render_fps": fps / skip}

    def step(self, action: Any) -> Step:
        """`skip` steps, fewer where the episode ends, with the sum of their rewards."""
        total = 0.0
        frames: list[np.ndarray] = []
        for _ in range(self._skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            frames = [*frames[-1:], np.array(observation)]  # a copy: the env may reuse its array
            total += float(reward)
            if terminated or truncated:
                break
        return np.max(frames, axis=0), total, bool(terminated), bool(truncated), info


def _is_image(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _check_meaning(env: _AnyEnv, action: int, meaning: str) -> None:
    unwrapped: Any = env.unwrapped
    meanings = unwrapped.get_action_meanings()
    if len(meanings) <= action + 1 or meanings[action] != meaning:
        raise UsageError(f"action {action} of this env is not {meaning}; it has {', '.join(meanings)}")
