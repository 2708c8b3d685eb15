"""Train several agents in one environment from a script: the contract for multi-agent environments, as an example.

    python examples/train_custom_multi_env.py --env=matching_game --experiment=matching --train_for_env_steps=60000

Lists of observations, rewards, ends and infos, one entry per agent; `num_agents`; each agent is reset by the env itself
as soon as its episode ended, and the observation returned is the first of the next one.
"""

import sys

import gymnasium as gym
import numpy as np

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.envs.env_utils import register_env
from sf_core.train import run_rl


class MatchingGame(gym.Env):
    """Two agents see the same signal and are paid when both answer with it; 10 answers make an episode."""

    def __init__(self, num_agents=2, render_mode=None):
        self.num_agents = num_agents
        self.observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observations(), [{} for _ in range(self.num_agents)]

    def step(self, actions):
        matched = all(action == self.signal for action in actions)
        self.steps += 1
        done = self.steps == 10
        infos = [{"episode_extra_stats": {"matched_last": float(matched)}} if done else {} for _ in actions]
        if done:
            self.steps = 0  # auto-reset: what is returned now is the first observation of the next episode
        count = self.num_agents
        return self._observations(), [float(matched)] * count, [done] * count, [False] * count, infos

    def _observations(self):
        self.signal = int(self.np_random.integers(3))
        return [np.eye(3, dtype=np.float32)[self.signal] for _ in range(self.num_agents)]


def make_matching_game(full_env_name, cfg, env_config, render_mode=None):
    return MatchingGame(render_mode=render_mode)


def parse_args(argv=None, evaluation=False):
    parser, partial_cfg = parse_sf_args(argv=argv, evaluation=evaluation)
    parser.set_defaults(
        use_rnn=False, encoder_mlp_layers=[32], batch_size=512, num_epochs=4, learning_rate=0.003, gamma=0.5
    )
    return parse_full_cfg(parser, argv)


def main():
    """Script entry point."""
    register_env("matching_game", make_matching_game)
    cfg = parse_args()
    return run_rl(cfg)


if __name__ == "__main__":
    sys.exit(main())
