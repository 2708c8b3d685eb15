"""stable-baselines3's PPO on one task, in the interpreter that has it; prints its curve as JSON. See contenders.py.

Memory and masks are those of sb3-contrib, its companion: `RecurrentPPO` with an LSTM, `MaskablePPO`.
"""

from __future__ import annotations

import json
import sys
import time

import gymnasium as gym
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
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


class Masked(gym.ObservationWrapper):
    """Offers the mask where `MaskablePPO` asks for it, instead of in the observation."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = env.observation_space["obs"]
        self._mask = None

    def observation(self, observation):
        self._mask = observation["action_mask"].astype(bool)
        return observation["obs"]

    def action_masks(self):
        return self._mask


def main(env, seed, steps, settings):
    """Train and print."""
    torch.set_num_threads(1)
    if settings["own"]:
        import envs

        def make():
            made = getattr(envs, f"make_{env}")(env, None, None)
            return Masked(made) if settings["masks"] else made
    else:

        def make():
            return gym.make(env.removeprefix("gym:"))

    venv = make_vec_env(make, n_envs=settings["num_envs"], seed=seed)
    if settings["normalize"]:
        venv = VecNormalize(venv, gamma=settings["gamma"])
    rate = settings["learning_rate"]
    algorithm, network = PPO, "MlpPolicy"
    shape = {"net_arch": list(settings["hidden"])}
    if settings["memory"]:
        algorithm, network = RecurrentPPO, "MlpLstmPolicy"
        shape["lstm_hidden_size"] = settings["rnn_size"]
    elif settings["masks"]:
        algorithm = MaskablePPO
    model = algorithm(
        network,
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
        policy_kwargs=shape,
    )
    curve = Curve()
    model.learn(steps, callback=curve)
    print(json.dumps(curve.points))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
