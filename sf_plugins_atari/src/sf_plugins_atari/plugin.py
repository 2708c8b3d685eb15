"""What this package offers to sf_core: games as `atari_*` and `atari:*`, Gymnasium's ids of the emulator, presets.

Imported by every `sf-list` and `--help`, hence thin: the standard library and sf_core only. The emulator is imported
by the factories, in the process that steps the games.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sf_core import EnvSpec, Metric, Preset, hookimpl
from sf_plugins_atari.games import GAME_PREFIX, MAX_FRAMES, ROM_PREFIX, ROMS, rom_of
from sf_plugins_atari.human_scores import HUMAN_NORMALIZED_SCORE
from sf_plugins_atari.options import ARGS, PRESETS

if TYPE_CHECKING:
    from sf_core.plugins.plan import RunPlan

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

GAME: dict[str, Any] = {
    "factory": "sf_plugins_atari.factories:make_atari_env",
    "vector_factory": "sf_plugins_atari.factories:make_atari_vector_env",
    "args": ARGS,
}

SCORE = Metric(HUMAN_NORMALIZED_SCORE, summary="score of the full game: 0 for random play, 1 for a human tester's")

COMMON: dict[str, Any] = {"requires": {"ale_py": "ale-py"}, "tags": ("atari", "discrete", "image"), "metrics": (SCORE,)}


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """Offer the 57 games by Sample Factory's names, all of the emulator's by their ROMs', and its Gymnasium ids."""
    defaults = {**LEARNING, **NETWORK, **FRAMES}
    for name, rom in ROMS.items():
        limit = {"atari_max_frames": MAX_FRAMES[name]} if name in MAX_FRAMES else {}
        yield EnvSpec(
            name=f"{GAME_PREFIX}{name}",
            summary=f"Atari 2600: {rom.replace('_', ' ')}",
            defaults={**defaults, **limit},
            **GAME,
            **COMMON,
        )
    yield EnvSpec(
        name=ROM_PREFIX,
        family=True,
        summary="Atari 2600: any game of the emulator by the name of its ROM, such as atari:tetris",
        defaults=defaults,
        **GAME,
        **COMMON,
    )
    yield EnvSpec(
        name="ALE/",
        family=True,
        factory="sf_plugins_atari.gymnasium_ids:make_ale_env",
        summary="Gymnasium's ids of the emulator, as they are: ALE/Pong-v5 (colour, no stack, sticky actions)",
        defaults={**LEARNING, **NETWORK, "env_frameskip": 4, "summaries_use_frameskip": True},
        **COMMON,
    )


@hookimpl
def sf_presets() -> Iterable[Preset]:
    """Offer the two evaluation protocols of the literature."""
    return PRESETS


@hookimpl
def sf_report_header(cfg: Mapping[str, Any], plan: RunPlan) -> Iterable[str]:
    """Name the emulator, the ROM and the randomness of a run; they decide what a score means."""
    if not str(plan.env.factory).startswith(f"{__package__}."):  # asked for by -p, but another's env is trained
        return []
    package = "envpool" if cfg.get("atari_backend") == "envpool" else "ale-py"
    try:
        emulator = f"{package} {version(package)}"
    except PackageNotFoundError:
        emulator = f"{package} of unknown version"
    if "/" in plan.env.name:  # a Gymnasium id
        return [emulator]
    sticky, noop_max = cfg["atari_sticky_actions"], cfg["atari_noop_max"]
    starts = f"up to {noop_max - 1} frames of waiting" if noop_max > 1 else "no waiting"
    return [f"{emulator}, ROM {rom_of(plan.env.name)}, sticky actions {sticky:g}, {starts} at the start of a game"]
