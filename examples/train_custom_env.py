"""Train on an environment of your own from a script: the template for custom environments, filled in.

    python examples/train_custom_env.py --env=custom_env_name --experiment=custom_env --train_for_env_steps=40000

Beside the environment that the template leaves to its reader, what had to be mended in it: `import argparse` and
`import sys` were missing, as was `.py` in the command. `render_mode` was added to `make_custom_env`, so that `sf-enjoy`
can show the environment; training needs none.
"""

import argparse
import sys

import gymnasium as gym
import numpy as np

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.envs.env_utils import register_env
from sf_core.train import run_rl


class BrightSide(gym.Env):
    """Say on which side of a noisy picture the bright column stands; one reward per right answer, 16 answers."""

    def __init__(self, custom_argument, render_mode=None):
        self.observation_space = gym.spaces.Box(0, 255, (1, 36, 36), np.uint8)
        self.action_space = gym.spaces.Discrete(2)
        self.reward = 2.0 if custom_argument == "double" else 1.0
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._picture(), {}

    def step(self, action):
        reward = self.reward * float(action == self.side)
        self.steps += 1
        return self._picture(), reward, False, self.steps == 16, {}

    def _picture(self):
        self.side = int(self.np_random.integers(2))
        picture = self.np_random.integers(0, 64, (1, 36, 36), dtype=np.uint8)
        column = int(self.np_random.integers(14)) + 20 * self.side
        picture[:, :, column : column + 2] = 255
        return picture


def make_custom_env(env_name, cfg, env_config, render_mode=None):
    # function that build your custom env
    # cfg and env_config can be used to further customize the env
    # env_config.env_id can be used to seed each env, for example
    return BrightSide(cfg.custom_argument, render_mode)


def register_custom_env_envs():
    # register the env in sample-factory's global env registry
    register_env("custom_env_name", make_custom_env)


def add_custom_env_args(_env, p: argparse.ArgumentParser, evaluation=False):
    # You can extend the command line arguments here
    p.add_argument("--custom_argument", default="value", type=str, help="")


def custom_env_override_defaults(_env, parser):
    # Modify the default arguments when using this env
    # these can still be changed from the command line
    parser.set_defaults(
        encoder_conv_architecture="convnet_atari",
        obs_scale=255.0,
        gamma=0.99,
        learning_rate=0.00025,
        lr_schedule="linear_decay",
        adam_eps=1e-5,
    )


def parse_args(argv=None, evaluation=False):
    # parse the command line arguments to build
    parser, partial_cfg = parse_sf_args(argv=argv, evaluation=evaluation)
    add_custom_env_args(partial_cfg.env, parser, evaluation=evaluation)
    custom_env_override_defaults(partial_cfg.env, parser)
    final_cfg = parse_full_cfg(parser, argv)
    return final_cfg


def main():
    """Script entry point."""
    register_custom_env_envs()
    cfg = parse_args()

    status = run_rl(cfg)
    return status


if __name__ == "__main__":
    sys.exit(main())
