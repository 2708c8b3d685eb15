"""What is trained: the same environment, network, batches, epochs and rollout for every contender.

In: a name. Out: flags. Ours and Sample Factory's flags have the same names, so both get the very same ones;
stable-baselines3 and CleanRL get the numbers. Knows no process and no measurement.

Where collecting and training take turns, a dataset is what one round of all envs gives (`minibatches_in_turns`
minibatches); an asynchronous run trains as soon as `minibatches` are there. Both take the same number of gradient steps
per sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Flags = Mapping[str, str | int | float | tuple[int, ...]]


@dataclass(frozen=True)
class Workload:
    """One training task.

    Attributes:
        title: for tables.
        shared: flags of ours and of Sample Factory.
        num_workers: rollout workers.
        num_envs_per_worker: envs of each.
        minibatches: of a dataset in an asynchronous run.
        minibatches_in_turns: of a dataset where collecting and training take turns.
        ours: flags that only ours needs.
        peers: who else trains it.
        variants: names of the same workload with ours on another env, and the flags that make it so.
    """

    name: str
    title: str
    shared: Flags
    num_workers: int
    num_envs_per_worker: int
    minibatches: int
    minibatches_in_turns: int
    plugins: tuple[str, ...] = ()
    frame_skip: int = 1
    peers: tuple[str, ...] = ("sample_factory", "stable_baselines3")
    variants: Mapping[str, Flags] = field(default_factory=dict)

    @property
    def num_envs(self) -> int:
        """Envs of all workers."""
        return self.num_workers * self.num_envs_per_worker

    def number(self, name: str) -> int:
        """A shared flag that is a whole number."""
        return int(self.shared[name])  # type: ignore[arg-type]


def words(flags: Flags) -> Iterator[str]:
    """Flags as they stand on a command line."""
    for name, value in flags.items():
        if isinstance(value, tuple):
            yield f"--{name}"
            yield from map(str, value)
        else:
            yield f"--{name}={value}"


_COMMON: Flags = {
    "with_vtrace": False,
    "normalize_input": True,
    "normalize_returns": True,
    "lr_schedule": "constant",
    "train_for_env_steps": 2_000_000_000,
}

CARTPOLE = Workload(
    name="cartpole",
    title="CartPole-v1, MLP 512x512 ELU, rollout 32, batch 640, 1 epoch, 2 x 20 envs",
    shared={
        **_COMMON,
        "env": "CartPole-v1",
        "use_rnn": False,
        "recurrence": 1,
        "encoder_mlp_layers": (512, 512),
        "nonlinearity": "elu",
        "rollout": 32,
        "batch_size": 640,
        "num_epochs": 1,
        "reward_scale": 0.1,
    },
    num_workers=2,
    num_envs_per_worker=20,
    minibatches=1,
    minibatches_in_turns=2,
)

PONG = Workload(
    name="pong",
    title="Atari Pong, Nature CNN, rollout 128, batch 256, 4 epochs, 4 minibatches, 8 envs",
    shared={
        **_COMMON,
        "env": "atari_pong",
        "env_frameskip": 4,
        "env_framestack": 4,
        "summaries_use_frameskip": True,
        "use_rnn": False,
        "recurrence": 1,
        "encoder_conv_architecture": "convnet_atari",
        "nonlinearity": "relu",
        "obs_scale": 255.0,
        "adaptive_stddev": False,
        "rollout": 128,
        "batch_size": 256,
        "num_epochs": 4,
        "shuffle_minibatches": False,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "ppo_clip_ratio": 0.1,
        "value_loss_coeff": 0.5,
        "kl_loss_coeff": 0.0,
        "exploration_loss": "entropy",
        "exploration_loss_coeff": 0.01,
        "learning_rate": 2.5e-4,
        "adam_eps": 1e-5,
        "max_grad_norm": 0.5,
        "reward_scale": 1.0,
    },
    num_workers=2,
    num_envs_per_worker=4,
    minibatches=4,
    minibatches_in_turns=4,
    plugins=("sf_plugins_atari.plugin",),
    frame_skip=4,
    peers=("sample_factory", "stable_baselines3", "cleanrl"),
    variants={"python wrappers": {"env": "pong_python_wrappers"}},
)

DOOM_BASIC = Workload(
    name="doom_basic",
    title="doom_basic, convnet_simple + GRU 512, rollout 32, batch 1024, 1 epoch, 2 x 10 envs",
    shared={
        **_COMMON,
        "env": "doom_basic",
        "env_frameskip": 4,
        "use_rnn": True,
        "rnn_type": "gru",
        "rnn_size": 512,
        "recurrence": 32,
        "encoder_conv_architecture": "convnet_simple",
        "nonlinearity": "elu",
        "obs_subtract_mean": 0.0,
        "obs_scale": 255.0,
        "rollout": 32,
        "batch_size": 1024,
        "num_epochs": 1,
        "ppo_clip_value": 0.2,
        "exploration_loss": "symmetric_kl",
        "exploration_loss_coeff": 0.001,
    },
    num_workers=2,
    num_envs_per_worker=10,
    minibatches=1,
    minibatches_in_turns=5,  # the least number that 20 rollouts of 32 steps fill evenly
    plugins=("sf_plugins_vizdoom.plugin",),
    frame_skip=4,
    peers=("sample_factory",),
)

WORKLOADS = {workload.name: workload for workload in (CARTPOLE, PONG, DOOM_BASIC)}
