"""One training run of Sample Factory 2, told apart from its own scripts only by an observer that writes progress.

SF_ENVIRONMENT/bin/python run_sample_factory.py --env=CartPole-v1 [flags of Sample Factory]
"""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from sample_factory.algo.runners.runner import AlgoObserver
from sample_factory.algo.utils.misc import ExperimentStatus
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.train import make_runner
from sample_factory.utils.utils import experiment_dir

from sf_bench.first_step import name_process, note_first_step
from sf_bench.progress import ProgressLog


class NullEnv(gym.Env):
    """Costs nothing."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)
    render_mode = None
    _nothing = np.zeros(4, np.float32)

    def reset(self, *, seed=None, options=None):
        return self._nothing, {}

    def step(self, action):
        return self._nothing, 0.0, False, False, {}


def make_env(full_env_name, cfg=None, env_config=None, render_mode=None):
    name_process("sf2-rollout")  # this process has no title
    env = NullEnv() if full_env_name == "bench_null" else gym.make(full_env_name, render_mode=render_mode)
    return note_first_step(env)


class WriteProgress(AlgoObserver):
    """A line for each training iteration; ends the run when there is enough."""

    def __init__(self, frame_skip):
        self.log = ProgressLog.from_environment()
        self.frame_skip = frame_skip

    def on_training_step(self, runner, training_iteration_since_resume):
        if self.log.iteration(sum(runner.env_steps.values()) // self.frame_skip):
            runner.cfg.train_for_env_steps = 0  # it is looked at after every training iteration


def configuration():
    """Register what the env needs, as Sample Factory's own example scripts do, and read the command line."""
    env = next(word.partition("=")[2] for word in sys.argv if word.startswith("--env="))
    if env.startswith("atari_"):
        from sf_examples.atari import train_atari

        train_atari.register_atari_components()
        return train_atari.parse_atari_args()
    if env.startswith("doom_"):
        from sf_examples.vizdoom import train_vizdoom

        train_vizdoom.register_vizdoom_components()
        return train_vizdoom.parse_vizdoom_cfg()
    register_env(env, make_env)
    parser, _ = parse_sf_args()
    return parse_full_cfg(parser)


def work_done(cfg):
    """Parameters, and gradient steps per agent step, of the newest checkpoint."""
    path = max(Path(experiment_dir(cfg)).glob("checkpoint_p0/checkpoint_*.pth"), key=lambda file: file.stat().st_mtime)
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    weights = {name: value for name, value in checkpoint["model"].items() if "normalizer" not in name}
    return {
        "parameters": sum(value.numel() for value in weights.values()),
        "gradient_steps": checkpoint["train_step"],
        "agent_steps": checkpoint["env_steps"] / cfg.env_frameskip,
    }


def main():
    cfg, runner = make_runner(configuration())
    observer = WriteProgress(cfg.env_frameskip)
    runner.register_observer(observer)
    status = runner.init()
    if status == ExperimentStatus.SUCCESS:
        status = runner.run()
    if status == ExperimentStatus.SUCCESS:
        observer.log.facts(**work_done(cfg))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
