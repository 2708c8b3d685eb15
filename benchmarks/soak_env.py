"""The env of `soak.py`: short episodes with statistics, and now and then a failure. A plugin of one file."""

from sf_core import Arg, register_env


def make_soak(full_env_name, cfg, env_config, render_mode=None):
    import gymnasium
    import numpy as np

    class ShortEpisodes(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (16,), np.float32)
        action_space = gymnasium.spaces.Discrete(4)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self._left = int(self.np_random.integers(2, 20))
            return self._observation(), {}

        def step(self, action):
            self._left -= 1
            if self.np_random.random() < cfg.failure_probability:
                raise RuntimeError("one failure in so many steps, as asked for")
            ended = self._left == 0
            truncated = ended and bool(self.np_random.integers(2))
            info = {"episode_extra_stats": {"coins": float(action)}} if ended else {}
            return self._observation(), float(action == 1), ended and not truncated, truncated, info

        def _observation(self):
            return self.np_random.uniform(-1, 1, 16).astype(np.float32)

    return ShortEpisodes()


register_env(
    "soak",
    make_soak,
    summary="short episodes and occasional failures",
    defaults={"use_rnn": True, "rnn_size": 32, "encoder_mlp_layers": [32], "rollout": 16, "batch_size": 512},
    args=(Arg("--failure_probability", float, 1e-6, "of each step"),),
)
