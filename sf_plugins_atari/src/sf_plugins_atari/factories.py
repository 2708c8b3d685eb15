"""From a plan's words to games: the functions that the plugin's specs name.

What comes in: an environment's name and the run's configuration. What leaves: one game that can be drawn, or many that
are stepped together by the chosen back end. Imported in the process that steps the games.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium.vector import VectorEnv

from sf_core.utils.errors import UsageError
from sf_plugins_atari.env import AtariEnv
from sf_plugins_atari.envpool_env import EnvPoolVectorEnv
from sf_plugins_atari.games import rom_of
from sf_plugins_atari.settings import emulator_threads, settings_from
from sf_plugins_atari.vector_env import NativeVectorEnv


def make_atari_env(
    full_env_name: str, cfg: Mapping[str, Any], env_config: Mapping[str, Any], render_mode: str | None = None
) -> AtariEnv:
    """Build one game that can render, whatever `--atari_backend` says: it plays the same game.

    Raises:
        UsageError: there is no such game, or an option has a value that no game can be played with.
    """
    return AtariEnv(settings_from(cfg, rom_of(full_env_name)), render_mode)


def make_atari_vector_env(
    full_env_name: str, cfg: Mapping[str, Any], env_configs: Sequence[Mapping[str, Any]]
) -> VectorEnv[Any, Any, Any]:
    """Build the games of `env_configs` as one vector environment; `make_atari_env` makes games to watch.

    Raises:
        UsageError: as for `make_atari_env`, and for a back end that is not installed.
    """
    settings = settings_from(cfg, rom_of(full_env_name))
    if settings.action_repeat > 1:
        raise UsageError("--eval_env_frameskip and --render_action_repeat show more frames; leave out --no_render.")
    make_games = EnvPoolVectorEnv if cfg["atari_backend"] == "envpool" else NativeVectorEnv
    num_envs = len(env_configs)
    seeds = [env_config.get("seed") for env_config in env_configs]
    return make_games(
        settings,
        num_envs,
        num_threads=emulator_threads(cfg, num_envs),
        seeds=None if None in seeds else seeds,  # type: ignore[arg-type]
    )
