"""What is learned, with which settings, in how many steps: one record per task, read by every contender.

One `Settings` is translated into our flags and into stable-baselines3's arguments, so that both run the same PPO on the
same network. The numbers follow the tuned settings of RL Baselines3 Zoo where it has the environment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """PPO in numbers. `num_envs x rollout` transitions are one dataset."""

    num_envs: int
    rollout: int
    minibatch: int
    epochs: int
    learning_rate: float
    linear_decay: bool = False
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.0
    hidden: tuple[int, ...] = (64, 64)
    normalize: bool = False
    memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """One environment.

    Attributes:
        env: as after `--env=`.
        steps: agent steps of one run; `full_steps` of a run of the full suite.
        target: mean return of the last 100 training episodes that counts as learned, in every mode: far above chance,
            below what unlucky seeds reach.
        needs: what only this task asks for; peers without it are left out.
        own: registered in `envs.py` beside this file.
    """

    env: str
    steps: int
    target: float
    settings: Settings
    full_steps: int = 0
    needs: str = ""
    own: bool = False


SMALL = Settings(num_envs=16, rollout=32, minibatch=128, epochs=4, learning_rate=1e-3, gamma=0.5, entropy=0.01)
LOCOMOTION = Settings(
    num_envs=16,
    rollout=64,
    minibatch=256,
    epochs=8,
    learning_rate=1e-3,
    linear_decay=True,
    hidden=(64, 64),
    normalize=True,
)

TASKS: dict[str, Task] = {
    "cartpole": Task(
        env="gym:CartPole-v1",
        steps=100_000,
        target=450,
        settings=Settings(
            num_envs=8,
            rollout=32,
            minibatch=256,
            epochs=20,
            learning_rate=1e-3,
            linear_decay=True,
            gamma=0.98,
            gae_lambda=0.8,
        ),
    ),
    "acrobot": Task(
        env="gym:Acrobot-v1",
        steps=150_000,
        target=-110,
        settings=Settings(
            num_envs=16, rollout=128, minibatch=256, epochs=4, learning_rate=1e-3, gae_lambda=0.94, normalize=True
        ),
    ),
    "lunarlander": Task(
        env="gym:LunarLander-v3",
        steps=300_000,
        full_steps=1_000_000,
        target=100,
        settings=Settings(
            num_envs=16,
            rollout=128,
            minibatch=256,
            epochs=8,
            learning_rate=5e-4,
            gamma=0.999,
            gae_lambda=0.98,
            entropy=0.01,
            normalize=True,
        ),
    ),
    "pendulum": Task(
        env="gym:Pendulum-v1",
        steps=150_000,
        target=-300,
        settings=Settings(
            num_envs=8, rollout=128, minibatch=128, epochs=10, learning_rate=1e-3, gamma=0.9, normalize=True
        ),
    ),
    "memory": Task(
        env="recall",
        own=True,
        steps=200_000,
        target=0.95,
        needs="memory",
        settings=Settings(
            num_envs=32, rollout=16, minibatch=256, epochs=4, learning_rate=1e-3, entropy=0.01, memory=True
        ),
    ),
    "masks": Task(env="keyring", own=True, steps=60_000, target=9.0, needs="action masks", settings=SMALL),
    "multi_discrete": Task(env="dials", own=True, steps=60_000, target=9.0, settings=SMALL),
    "team": Task(env="handshake", own=True, steps=60_000, target=9.0, needs="several agents", settings=SMALL),
    "halfcheetah": Task(env="gym:HalfCheetah-v5", steps=300_000, full_steps=1_000_000, target=600, settings=LOCOMOTION),
    "ant": Task(env="gym:Ant-v5", steps=0, full_steps=1_000_000, target=1000, settings=LOCOMOTION),
}
