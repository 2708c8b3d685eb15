"""stable-baselines3's PPO on one task, in the interpreter that has it; prints its curve as JSON. See contenders.py."""

from __future__ import annotations

import json
import sys
import time

import gymnasium as gym
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize


class Curve(BaseCallback):
    """Notes the mean return of the last 100 episodes after every dataset."""

    def __init__(self):
        super().__init__()
        self.points = []
        self.start = time.perf_counter()

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        if returns:
            point = (self.num_timesteps, time.perf_counter() - self.start, float(sum(returns) / len(returns)))
            self.points.append(point)


def main(env, seed, steps, settings):
    """Train and print."""
    torch.set_num_threads(1)
    if settings["own"]:
        import envs

        def make():
            return getattr(envs, f"make_{env}")(env, None, None)
    else:

        def make():
            return gym.make(env.removeprefix("gym:"))

    venv = make_vec_env(make, n_envs=settings["num_envs"], seed=seed)
    if settings["normalize"]:
        venv = VecNormalize(venv, gamma=settings["gamma"])
    rate = settings["learning_rate"]
    model = PPO(
        "MlpPolicy",
        venv,
        seed=seed,
        device="cpu",
        n_steps=settings["rollout"],
        batch_size=settings["minibatch"],
        n_epochs=settings["epochs"],
        learning_rate=(lambda left: left * rate) if settings["linear_decay"] else rate,
        gamma=settings["gamma"],
        gae_lambda=settings["gae_lambda"],
        clip_range=settings["clip"],
        ent_coef=settings["entropy"],
        policy_kwargs={"net_arch": list(settings["hidden"])},
    )
    curve = Curve()
    model.learn(steps, callback=curve)
    print(json.dumps(curve.points))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
