"""Catch a falling ball on a small grey image."""

import gymnasium as gym
import numpy as np

WORKERS = []


class Catch(gym.Env):
    def __init__(self, columns, render_mode=None):
        self.columns, self.render_mode = columns, render_mode
        self.observation_space = gym.spaces.Box(0, 255, (1, 8, columns), np.uint8)
        self.action_space = gym.spaces.Discrete(3)

    def _observation(self):
        image = np.zeros((1, 8, self.columns), np.uint8)
        image[0, self.row, self.ball] = 255
        image[0, 7, self.paddle] = 128
        return image

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.ball, self.row, self.paddle = int(self.np_random.integers(self.columns)), 0, self.columns // 2
        return self._observation(), {}

    def step(self, action):
        self.paddle = int(np.clip(self.paddle + action - 1, 0, self.columns - 1))
        self.row += 1
        terminated = self.row == 7
        reward = float(terminated and abs(self.paddle - self.ball) <= 1)
        return self._observation(), reward, terminated, False, {}


def make_arcade_env(full_env_name, cfg, env_config, columns, render_mode=None):
    return Catch(columns, render_mode)


def make_arcade_vector(full_env_name, cfg, env_configs, columns):
    return gym.vector.SyncVectorEnv([lambda: Catch(columns) for _ in env_configs])


def init_worker(cfg, worker_index):
    WORKERS.append(worker_index)


class ScaledReward(gym.RewardWrapper):
    def __init__(self, env, cfg, env_config, scale):
        super().__init__(env)
        self.scale = scale

    def reward(self, reward):
        return self.scale * reward
