"""A corridor: action 1 goes right, action 0 left; reward 1 at the end. Solved by always going right."""

import gymnasium as gym
import numpy as np


class Corridor(gym.Env):
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, size=5, render_mode=None):
        self.size, self.render_mode = size, render_mode
        self.observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def _observation(self):
        return np.array([self.position / self.size, self.steps / (4 * self.size)], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position, self.steps = int(self.np_random.integers(self.size - 1)), 0
        return self._observation(), {}

    def step(self, action):
        self.steps += 1
        self.position = max(0, self.position + (1 if action == 1 else -1))
        terminated = self.position >= self.size - 1
        truncated = not terminated and self.steps >= 4 * self.size
        info = {}
        if terminated or truncated:
            info["episode_extra_stats"] = {"distance": float(self.size - 1 - self.position)}
        return self._observation(), float(terminated), terminated, truncated, info

    def render(self):
        frame = np.zeros((8, 8 * self.size, 3), np.uint8)
        frame[:, 8 * self.position : 8 * self.position + 8] = 255
        return frame


def make_grid(full_env_name, cfg, env_config, render_mode=None):
    return Corridor(cfg.get("grid_size", 5), render_mode)
