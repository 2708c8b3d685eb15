"""Agent steps per second of one stable-baselines3 PPO run, as JSON on the last line.

    python run_stable_baselines3.py {cartpole|pong} STEPS THREADS

Same network, batch, epochs and rollout as ours. CartPole: one shared 512x512 ELU trunk, 20 envs x 32 steps, batch 640,
1 epoch. Pong: Nature CNN, 8 subprocess envs with the library's own Atari wrappers, 128 steps, batch 256, 4 epochs.
"""

import json
import sys
import time

import ale_py  # noqa: F401  registers the Atari ids
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack
from torch import nn


class Trunk(BaseFeaturesExtractor):
    def __init__(self, observation_space):
        super().__init__(observation_space, 512)
        size = observation_space.shape[0]
        self.layers = nn.Sequential(nn.Linear(size, 512), nn.ELU(), nn.Linear(512, 512), nn.ELU())

    def forward(self, observations):
        return self.layers(observations)


def model_for(workload: str):
    if workload == "cartpole":
        env = make_vec_env("CartPole-v1", n_envs=20)
        policy = {"features_extractor_class": Trunk, "net_arch": []}
        return PPO("MlpPolicy", env, n_steps=32, batch_size=640, n_epochs=1, device="cpu", policy_kwargs=policy), 640
    env = make_atari_env("PongNoFrameskip-v4", n_envs=8, vec_env_cls=SubprocVecEnv)
    env = VecFrameStack(env, 4)
    settings = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": 2.5e-4, "clip_range": 0.1}
    return PPO("CnnPolicy", env, device="cpu", **settings), 1024


def main() -> None:
    workload, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    model, dataset = model_for(workload)
    model.learn(2 * dataset)  # warm-up
    start, before = time.perf_counter(), model.num_timesteps
    model.learn(steps, reset_num_timesteps=False)
    seconds = time.perf_counter() - start
    print(json.dumps({"steps_per_s": (model.num_timesteps - before) / seconds}))


if __name__ == "__main__":
    main()
