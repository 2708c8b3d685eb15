"""What this package offers to sf_core: the `atari_*` games and the `ALE/` family of Gymnasium ids.

Imported by every `sf-list` and `--help`, hence thin: the standard library and sf_core only. The emulator is imported
by the factories, in the process that steps the games.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sf_core import Arg, EnvSpec, hookimpl
from sf_plugins_atari.games import DEFAULT_MAX_FRAMES, MAX_FRAMES, ROMS

if TYPE_CHECKING:
    from sf_core.plugins.plan import RunPlan

REQUIRES = {"ale_py": "ale-py"}

LEARNING: dict[str, Any] = {
    # PPO as in Sample Factory's Atari integration, which follows CleanRL: 8 games, 128 steps each, 4 minibatches of
    # 256, 4 epochs, clip range 0.1, learning rate falling to zero.
    "async_rl": False,
    # Sample Factory starts 8 workers with one game each. One native vector of 8 games is the same data per iteration
    # (so the same learning) for an eighth of the messages; and a number taken from the machine ("auto") would make
    # the learning depend on it.
    "num_workers": 1,
    "num_envs_per_worker": 8,
    "worker_num_splits": 1,
    "train_for_env_steps": 10_000_000,
    "rollout": 128,
    "recurrence": 1,
    "batch_size": 256,
    "num_batches_per_epoch": 4,
    "num_epochs": 4,
    "shuffle_minibatches": False,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "with_vtrace": False,
    "ppo_clip_ratio": 0.1,
    "value_loss_coeff": 0.5,
    "exploration_loss": "entropy",
    "exploration_loss_coeff": 0.01,
    "kl_loss_coeff": 0.0,
    "learning_rate": 2.5e-4,
    "lr_schedule": "linear_decay",
    "adam_eps": 1e-5,
    "max_grad_norm": 0.5,
    "reward_scale": 1.0,
    # The games return the score as it is. Learning from its sign, as DQN does (Mnih et al. 2015), is the core's part;
    # scores are whole numbers, so clipping to [-1, 1] is the sign.
    "reward_clip": 1.0,
    "normalize_input": True,
    "normalize_returns": True,
    "experiment_summaries_interval": 3,
}

NETWORK: dict[str, Any] = {
    "encoder_conv_architecture": "convnet_atari",
    "nonlinearity": "relu",
    "use_rnn": False,
    "adaptive_stddev": False,
    "obs_scale": 255.0,
}

FRAMES: dict[str, Any] = {"env_frameskip": 4, "env_framestack": 4, "summaries_use_frameskip": True}

THREADS = Arg(
    "--atari_threads",
    int,
    0,
    "threads that emulate the games of one process; 0 = its share of the cores, at most one per game",
)


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """Offer the 57 games by Sample Factory's names, and every Gymnasium id of the emulator."""
    for name, rom in ROMS.items():
        yield EnvSpec(
            name=f"atari_{name}",
            factory="sf_plugins_atari.env:make_atari_env",
            vector_factory="sf_plugins_atari.vector_env:make_atari_vector_env",
            params={"rom": rom, "max_frames": MAX_FRAMES.get(name, DEFAULT_MAX_FRAMES)},
            requires=REQUIRES,
            summary=f"Atari 2600: {rom.replace('_', ' ')}",
            tags=("atari", "discrete", "image"),
            defaults={**LEARNING, **NETWORK, **FRAMES},
            args=(THREADS,),
        )
    yield EnvSpec(
        name="ALE/",
        family=True,
        factory="sf_plugins_atari.gymnasium_ids:make_ale_env",
        requires=REQUIRES,
        summary="Gymnasium's ids of the emulator, as they are: ALE/Pong-v5 (colour, no stack, sticky actions)",
        tags=("atari", "discrete", "image"),
        defaults={**LEARNING, **NETWORK, "env_frameskip": 4, "summaries_use_frameskip": True},
    )


@hookimpl
def sf_report_header(cfg: Mapping[str, Any], plan: RunPlan) -> Iterable[str]:
    """Name the emulator and the ROM a run uses; both decide what a score means."""
    try:
        emulator = f"ale-py {version('ale-py')}"
    except PackageNotFoundError:
        emulator = "ale-py of unknown version"
    rom = plan.env.params.get("rom")
    return [f"{emulator}, ROM {rom}" if rom else emulator]
