"""Small tasks that only a certain part of the framework can solve: memory, masks, several discrete actions, a team.

    sf-train -p benchmarks/learning/envs.py --env=recall

Each has a known best return and a known return of chance, so a curve means something without a reference.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from sf_core import register_env


class Recall(gym.Env):
    """A cue is shown once; after a pause of blank observations it has to be named.

    Without memory the best return is chance, 1/4; with it, 1.
    """

    CUES, PAUSE = 4, 6

    def __init__(self):
        self.observation_space = spaces.Box(0, 1, (self.CUES + 1,), np.float32)
        self.action_space = spaces.Discrete(self.CUES)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._cue, self._step = int(self.np_random.integers(self.CUES)), 0
        return self._observation(), {}

    def step(self, action):
        over = self._step == self.PAUSE + 1
        reward = float(over and action == self._cue)
        self._step += 1
        return self._observation(), reward, over, False, {}

    def _observation(self):
        observation = np.zeros(self.CUES + 1, np.float32)
        if self._step == 0:
            observation[self._cue] = 1
        elif self._step == self.PAUSE + 1:
            observation[-1] = 1  # now!
        return observation


class Keyring(gym.Env):
    """40 keys, of which 4 are at hand; the one with the number on the lock opens it. 10 locks an episode.

    Chance among the legal keys is 2.5, the best return 10. A forbidden key is an error.
    """

    KEYS, AT_HAND, LOCKS = 40, 4, 10

    def __init__(self):
        self.observation_space = spaces.Dict(
            obs=spaces.Box(0, 1, (self.KEYS,), np.float32), action_mask=spaces.MultiBinary(self.KEYS)
        )
        self.action_space = spaces.Discrete(self.KEYS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._opened = 0
        return self._next(), {}

    def step(self, action):
        assert action in self._keys, "a forbidden action"
        reward = float(action == self._keys[0])
        self._opened += 1
        return self._next(), reward, self._opened == self.LOCKS, False, {}

    def _next(self):
        self._keys = self.np_random.choice(self.KEYS, self.AT_HAND, replace=False)
        lock, mask = np.zeros(self.KEYS, np.float32), np.zeros(self.KEYS, np.int8)
        lock[self._keys[0]] = 1
        mask[self._keys] = 1
        return {"obs": lock, "action_mask": mask}


class Dials(gym.Env):
    """Three dials of 3, 4 and 5 positions have to be set as shown; each right one pays 1/3. 10 settings an episode.

    Chance is 2.6, the best return 10.
    """

    SIZES, SETTINGS = (3, 4, 5), 10

    def __init__(self):
        self.observation_space = spaces.Box(0, 1, (sum(self.SIZES),), np.float32)
        self.action_space = spaces.MultiDiscrete(self.SIZES)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._set = 0
        return self._next(), {}

    def step(self, action):
        reward = float(np.mean(np.asarray(action) == self._shown))
        self._set += 1
        return self._next(), reward, self._set == self.SETTINGS, False, {}

    def _next(self):
        self._shown = np.array([self.np_random.integers(size) for size in self.SIZES])
        return np.concatenate(
            [np.eye(size, dtype=np.float32)[i] for size, i in zip(self.SIZES, self._shown, strict=True)]
        )


class Handshake:
    """Each of two agents sees the number of the other and has to name it. Both are paid 1 when both are right, and 1/4
    when one of them is. 10 rounds an episode; the best return is 10, chance 1.2.
    """

    num_agents, NUMBERS, ROUNDS = 2, 5, 10

    def __init__(self):
        self.observation_space = spaces.Box(0, 1, (self.NUMBERS,), np.float32)
        self.action_space = spaces.Discrete(self.NUMBERS)
        self._random = np.random.default_rng()

    def reset(self, *, seed=None):
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._round = 0
        return self._next(), [{}, {}]

    def step(self, actions):
        reward = (0.0, 0.25, 1.0)[int((np.asarray(actions) == self._numbers[::-1]).sum())]
        self._round += 1
        over = self._round == self.ROUNDS
        if over:
            self._round = 0
        return self._next(), [reward] * 2, [over] * 2, [False] * 2, [{}, {}]

    def close(self):
        pass

    def _next(self):
        self._numbers = self._random.integers(self.NUMBERS, size=2)
        one_hot = np.eye(self.NUMBERS, dtype=np.float32)
        return [one_hot[number] for number in self._numbers[::-1]]


def make_recall(full_env_name, cfg, env_config):
    return Recall()


def make_keyring(full_env_name, cfg, env_config):
    return Keyring()


def make_dials(full_env_name, cfg, env_config):
    return Dials()


def make_handshake(full_env_name, cfg, env_config):
    return Handshake()


for name, factory in (
    ("recall", make_recall),
    ("keyring", make_keyring),
    ("dials", make_dials),
    ("handshake", make_handshake),
):
    register_env(name, factory)
