"""Atari Pong the way most frameworks have it: the emulator as a Gymnasium env inside a stack of Python wrappers.

The preprocessing of Mnih et al. (2015), one wrapper for each part, in the order that OpenAI Baselines made common.
Every emulator frame passes through Python in colour; that is what the native vector env is spared.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import ale_py  # noqa: F401  registers the Atari ids
import cv2
import gymnasium as gym
import numpy as np

Step = tuple[Any, float, bool, bool, dict[str, Any]]
NOOP, FIRE = 0, 1


class NoopReset(gym.Wrapper):
    """Begin with up to `most` frames of doing nothing."""

    def __init__(self, env: gym.Env, most: int = 30) -> None:
        super().__init__(env)
        self._most = most

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        for _ in range(int(self.unwrapped.np_random.integers(1, self._most + 1))):
            observation, _, terminated, truncated, info = self.env.step(NOOP)
            if terminated or truncated:
                observation, info = self.env.reset()
        return observation, info


class MaxAndSkip(gym.Wrapper):
    """Repeat an action; the observation is the maximum of the last two frames."""

    def __init__(self, env: gym.Env, skip: int = 4) -> None:
        super().__init__(env)
        self._skip = skip
        assert env.observation_space.shape is not None
        self._last_two = np.zeros((2, *env.observation_space.shape), np.uint8)

    def step(self, action: Any) -> Step:
        total, terminated, truncated = 0.0, False, False
        info: dict[str, Any] = {}
        for frame in range(self._skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            if frame >= self._skip - 2:
                self._last_two[frame - self._skip + 2] = observation
            total += float(reward)
            if terminated or truncated:
                break
        return self._last_two.max(axis=0), total, terminated, truncated, info


class LifeEndsEpisode(gym.Wrapper):
    """A lost life ends the episode; the game itself is reset only when it is over."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._lives = 0
        self._over = True

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._over = terminated or truncated
        lives = self.unwrapped.ale.lives()  # type: ignore[attr-defined]
        lost = 0 < lives < self._lives
        self._lives = lives
        return observation, float(reward), terminated or lost, truncated, info

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        if self._over:
            observation, info = self.env.reset(**kwargs)
        else:
            observation, _, terminated, truncated, info = self.env.step(NOOP)
            if terminated or truncated:
                observation, info = self.env.reset(**kwargs)
        self._over = False
        self._lives = self.unwrapped.ale.lives()  # type: ignore[attr-defined]
        return observation, info


class FireReset(gym.Wrapper):
    """Press the button that starts the game, and the next one, which other games want."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        for button in (FIRE, FIRE + 1):
            observation, _, terminated, truncated, info = self.env.step(button)
            if terminated or truncated:
                observation, info = self.env.reset()
        return observation, info


class GreyAndSmall(gym.ObservationWrapper):
    """Grey, 84 x 84."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 255, (84, 84), np.uint8)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(observation, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)


class SignOfReward(gym.RewardWrapper):
    """-1, 0 or 1."""

    def reward(self, reward: Any) -> float:
        return float(np.sign(reward))


class Stack(gym.Wrapper):
    """The last four frames, [4, 84, 84]."""

    def __init__(self, env: gym.Env, size: int = 4) -> None:
        super().__init__(env)
        self._frames: deque[np.ndarray] = deque(maxlen=size)
        assert env.observation_space.shape is not None
        self.observation_space = gym.spaces.Box(0, 255, (size, *env.observation_space.shape), np.uint8)

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._frames.append(observation)
        return np.stack(self._frames), float(reward), terminated, truncated, info

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        self._frames.extend([observation] * (self._frames.maxlen or 1))
        return np.stack(self._frames), info


def make_pong(full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None) -> gym.Env:
    """The whole stack."""
    cv2.setNumThreads(1)  # one env, one core
    env: gym.Env = gym.make("PongNoFrameskip-v4", render_mode=render_mode)
    for wrapper in (NoopReset, MaxAndSkip, LifeEndsEpisode, FireReset, GreyAndSmall, SignOfReward, Stack):
        env = wrapper(env)
    return env
