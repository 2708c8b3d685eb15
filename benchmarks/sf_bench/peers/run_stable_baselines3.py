"""One PPO run of stable-baselines3 that writes progress.

    SB3_ENVIRONMENT/bin/python run_stable_baselines3.py {cartpole,pong} --threads=1 --envs=40 --rollout=32 --batch=640 --epochs=1

CartPole has one shared trunk as features extractor and nothing after it, as the other contenders have. Pong has the
Atari wrappers and the Nature CNN that the library ships, and an env process per game.
"""  # noqa: E501

import argparse

import ale_py  # noqa: F401  registers the Atari ids; env processes import this file again
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from sf_bench.progress import ProgressLog


class Trunk(BaseFeaturesExtractor):
    """512 x 512, ELU."""

    def __init__(self, observation_space):
        super().__init__(observation_space, 512)
        size = observation_space.shape[0]
        self.layers = nn.Sequential(nn.Linear(size, 512), nn.ELU(), nn.Linear(512, 512), nn.ELU())

    def forward(self, observations):
        return self.layers(observations)


class WriteProgress(BaseCallback):
    """A line for each training iteration; ends the run when there is enough."""

    def __init__(self):
        super().__init__()
        self.progress = ProgressLog.from_environment()
        self.enough = False
        self.trained_on = 0

    def _on_rollout_start(self):  # the iteration before has just ended
        if self.num_timesteps > self.trained_on:
            self.trained_on = self.num_timesteps
            self.enough = self.progress.iteration(self.num_timesteps)

    def _on_step(self):
        return not self.enough


def build(args):
    common = {"n_steps": args.rollout, "batch_size": args.batch, "n_epochs": args.epochs, "device": args.device}
    if args.workload == "cartpole":
        env = make_vec_env("CartPole-v1", n_envs=args.envs)
        network = {"features_extractor_class": Trunk, "net_arch": []}
        return PPO("MlpPolicy", env, policy_kwargs=network, **common)
    games = make_atari_env("PongNoFrameskip-v4", n_envs=args.envs, vec_env_cls=SubprocVecEnv)
    return PPO("CnnPolicy", VecFrameStack(games, 4), learning_rate=2.5e-4, clip_range=0.1, **common)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=["cartpole", "pong"])
    for name in ("threads", "envs", "rollout", "batch", "epochs"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gradient_steps = []
    register_optimizer_step_post_hook(lambda *_: gradient_steps.append(1))
    model, progress = build(args), WriteProgress()
    model.learn(2_000_000_000, callback=progress)
    progress.progress.facts(
        parameters=sum(parameter.numel() for parameter in model.policy.parameters()),
        gradient_steps=len(gradient_steps),
        agent_steps=progress.trained_on,
    )
    model.env.close()


if __name__ == "__main__":
    main()
