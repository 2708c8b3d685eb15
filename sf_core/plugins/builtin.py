"""The core's own components, offered through the same hooks as anybody's: the plugin named "core"."""

from __future__ import annotations

from collections.abc import Iterator

from sf_core.plugins.hookspecs import hookimpl
from sf_core.plugins.specs import ActorCriticSpec, Arg, CoreSpec, DecoderSpec, EncoderSpec, EnvSpec, ObserverSpec

GYMNASIUM_FACTORY = "sf_core.envs.gymnasium_envs:make_gymnasium_env"
FUNCTION_FACTORY = "sf_core.envs.gymnasium_envs:make_from_function"
PETTINGZOO_FACTORY = "sf_core.envs.pettingzoo_envs:make_pettingzoo_env"

# Small networks, short rollouts, a short horizon (after the tuned PPO settings of RL Baselines3 Zoo): mean return 500
# after about 100,000 steps. Returns stay below 50 at this horizon, so a constant scale does for them.
CARTPOLE_DEFAULTS = {
    "use_rnn": False,
    "encoder_mlp_layers": [64, 64],
    "nonlinearity": "tanh",
    "rollout": 32,
    "batch_size": 256,
    "num_epochs": 10,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "ppo_clip_ratio": 0.2,
    "learning_rate": 0.001,
    "lr_schedule": "linear_decay",
    "exploration_loss_coeff": 0.0,
    "normalize_returns": False,
    "reward_scale": 0.1,
    "train_for_env_steps": 300_000,
}


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """The families that need no registration, and one tuned example."""
    yield EnvSpec(
        name="gym:",
        family=True,
        factory=GYMNASIUM_FACTORY,
        requires=("gymnasium",),
        summary="any Gymnasium id: gym:CartPole-v1, gym:my_pkg:Maze-v0",
    )
    yield EnvSpec(
        name="py:",
        family=True,
        factory=FUNCTION_FACTORY,
        summary="a function that makes the env: py:my_pkg.maze:make_maze",
    )
    yield EnvSpec(
        name="pettingzoo:",
        family=True,
        factory=PETTINGZOO_FACTORY,
        requires=("pettingzoo",),
        summary="a PettingZoo module, parallel or turn by turn: pettingzoo:butterfly/pistonball-v6",
    )
    yield EnvSpec(
        name="envpool:",
        family=True,
        factory="sf_core.envs.envpool_envs:make_envpool",
        vector_factory="sf_core.envs.envpool_envs:make_envpool_envs",
        requires=("envpool",),
        fix="pip install envpool",
        summary="any EnvPool id, stepped by its own threads: envpool:Pong-v5",
    )
    yield EnvSpec(
        name="CartPole-v1",
        factory=GYMNASIUM_FACTORY,
        requires=("gymnasium",),
        summary="balance a pole, with tuned hyper-parameters",
        defaults=CARTPOLE_DEFAULTS,
    )


@hookimpl
def sf_encoders() -> Iterator[EncoderSpec]:
    """Encoders; `auto` means what `--encoder_conv_architecture` and the observation space select."""
    for name, summary in (
        ("auto", "by the observation space: MLP for vectors, --encoder_conv_architecture for images"),
        ("mlp", "fully connected, --encoder_mlp_layers"),
        ("convnet_simple", "three convolutions"),
        ("convnet_impala", "two convolutions of IMPALA's small network"),
        ("convnet_atari", "three convolutions of the Atari DQN"),
        ("resnet_impala", "residual network of IMPALA"),
    ):
        yield EncoderSpec(
            name=name, factory="sf_core.model.encoder:make_encoder", params={"architecture": name}, summary=summary
        )


@hookimpl
def sf_cores() -> Iterator[CoreSpec]:
    """Cores; `auto` means what `--use_rnn` and `--rnn_type` select."""
    for name, summary in (
        ("auto", "by --use_rnn and --rnn_type"),
        ("none", "no memory"),
        ("gru", "gated recurrent unit"),
        ("lstm", "long short-term memory"),
    ):
        yield CoreSpec(name=name, factory="sf_core.model.core:make_core", params={"kind": name}, summary=summary)
    yield CoreSpec(
        name="attention",
        factory="sf_core.model.attention:ModelCoreAttention",
        summary="attention over the last steps of the episode",
        args=(
            Arg("--attention_window", int, 16, "steps that each layer looks back"),
            Arg("--attention_size", int, 128, "size of what a layer remembers of a step"),
            Arg("--attention_heads", int, 4, "heads, which share the size"),
            Arg("--attention_layers", int, 1, "layers; each looks back on its own"),
        ),
    )


@hookimpl
def sf_decoders() -> Iterator[DecoderSpec]:
    """Decoders."""
    for name in ("auto", "mlp"):
        yield DecoderSpec(
            name=name, factory="sf_core.model.decoder:make_decoder", summary="fully connected, --decoder_mlp_layers"
        )


@hookimpl
def sf_actor_critics() -> Iterator[ActorCriticSpec]:
    """Actor-critics; `auto` means what `--actor_critic_share_weights` selects."""
    for name, summary in (
        ("auto", "by --actor_critic_share_weights"),
        ("shared", "one network with two heads"),
        ("separate", "one network each for policy and value"),
    ):
        yield ActorCriticSpec(
            name=name,
            factory="sf_core.model.actor_critic:make_actor_critic",
            params={"kind": name},
            summary=summary,
        )


@hookimpl
def sf_observers() -> Iterator[ObserverSpec]:
    """Observers."""
    yield ObserverSpec(
        name="wandb",
        factory="sf_core.runner.reports.wandb_observer:WandbObserver",
        requires=("wandb",),
        fix='pip install "sf-core[wandb]"',
        summary="metrics to Weights & Biases, also by --with_wandb=True; --wandb_project and its like",
    )
