"""The hooks of the plugin system; each returns data and is called in the main process only.

There is no hook for making envs, building models or reacting to training: those are components, offered as specs here
and selected by name. No hook stops at the first result, and the order of plugins never decides what a run does.

A plugin's module, and everything it imports, imports the standard library and `sf_core` alone.
"""

# Deliberately without `from __future__ import annotations`: pluggy reads the signatures.
from collections.abc import Iterable
from typing import Any

import pluggy

from sf_core.plugins.specs import (
    ActorCriticSpec,
    Arg,
    CoreSpec,
    DecoderSpec,
    EncoderSpec,
    EnvSpec,
    ObserverSpec,
    Preset,
    WrapperSpec,
)

PROJECT = "sf_core"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sf_environments() -> Iterable[EnvSpec]:  # type: ignore[empty-body]
    """Environments this plugin provides.

    Called: the first time envs are listed or resolved.
    Process: main only. Env workers never call hooks.
    May import: stdlib and sf_core. Never the simulator, numpy or torch.

    **Example**::

        from sf_core import EnvSpec, hookimpl

        @hookimpl
        def sf_environments():
            for game in ("pong", "breakout"):
                yield EnvSpec(name=f"atari_{game}", factory="sf_plugins_atari.env:make_atari_env",
                              params={"rom": game}, requires=("ale_py",), summary=f"ALE {game}")
    """


@hookspec
def sf_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Encoders this plugin provides: what turns observations into a vector.

    Called: the first time encoders are listed or resolved.
    Process: main only.
    May import: stdlib and sf_core. Never torch.

    **Example**::

        from sf_core import EncoderSpec, hookimpl

        @hookimpl
        def sf_encoders():
            yield EncoderSpec(name="maze_cnn", factory="my_env_plugin.model:MazeCNN", requires=("torch",),
                              summary="three small convolutions")
    """


@hookspec
def sf_cores() -> Iterable[CoreSpec]:  # type: ignore[empty-body]
    """Cores this plugin provides: what stands between encoder and decoder and may remember.

    Called: the first time cores are listed or resolved.
    Process: main only.
    May import: stdlib and sf_core. Never torch.

    **Example**::

        from sf_core import CoreSpec, hookimpl

        @hookimpl
        def sf_cores():
            yield CoreSpec(name="mamba", factory="my_cores.mamba:make_mamba", requires={"mamba_ssm": "mamba-ssm"})
    """


@hookspec
def sf_decoders() -> Iterable[DecoderSpec]:  # type: ignore[empty-body]
    """Decoders this plugin provides: what stands between the core and the heads.

    Called: the first time decoders are listed or resolved.
    Process: main only.
    May import: stdlib and sf_core. Never torch.

    **Example**::

        from sf_core import DecoderSpec, hookimpl

        @hookimpl
        def sf_decoders():
            yield DecoderSpec(name="deep_mlp", factory="my_parts.decoder:make_deep_mlp")
    """


@hookspec
def sf_actor_critics() -> Iterable[ActorCriticSpec]:  # type: ignore[empty-body]
    """Whole models this plugin provides; one of them replaces encoder, core and decoder, or builds on them.

    Called: the first time actor-critics are listed or resolved.
    Process: main only.
    May import: stdlib and sf_core. Never torch.

    **Example**::

        from sf_core import ActorCriticSpec, hookimpl

        @hookimpl
        def sf_actor_critics():
            yield ActorCriticSpec(name="two_towers", factory="my_parts.model:make_two_towers")
    """


@hookspec
def sf_wrappers() -> Iterable[WrapperSpec]:  # type: ignore[empty-body]
    """Env wrappers this plugin provides, chosen with `--env_wrappers`.

    Called: the first time wrappers are listed or resolved.
    Process: main only.
    May import: stdlib and sf_core. Never gymnasium.

    **Example**::

        from sf_core import WrapperSpec, hookimpl

        @hookimpl
        def sf_wrappers():
            yield WrapperSpec(name="time_penalty", factory="my_wrappers.env:TimePenalty", params={"penalty": 0.01})
    """


@hookspec
def sf_observers() -> Iterable[ObserverSpec]:  # type: ignore[empty-body]
    """Training observers this plugin provides, chosen with `--observers`.

    Called: the first time observers are listed or resolved.
    Process: main only; the observer itself lives in the process of the runner.
    May import: stdlib and sf_core.

    **Example**::

        from sf_core import ObserverSpec, hookimpl

        @hookimpl
        def sf_observers():
            yield ObserverSpec(name="maze_heatmap", factory="my_env_plugin.observer:MazeHeatmap")
    """


@hookspec
def sf_presets() -> Iterable[Preset]:  # type: ignore[empty-body]
    """Named sets of hyper-parameters, chosen with `--preset`.

    Called: for `--preset` and `sf-list presets`.
    Process: main only.
    May import: stdlib and sf_core.

    **Example**::

        from sf_core import Preset, hookimpl

        @hookimpl
        def sf_presets():
            yield Preset(name="maze_fast", values={"rollout": 64, "gamma": 0.99}, applies_to=("my_maze*",))
    """


@hookspec
def sf_arguments() -> Iterable[Arg]:  # type: ignore[empty-body]
    """Flags of the plugin as a whole, always there; each must begin with `--<plugin>_`.

    Called: when the command line is parsed.
    Process: main only.
    May import: stdlib and sf_core.

    **Example**::

        from sf_core import Arg, hookimpl

        @hookimpl
        def sf_arguments():
            yield Arg("--my_env_cache", str, "~/.cache/my_env", "folder for generated levels")
    """


@hookspec
def sf_configure(cfg: Any, plan: Any) -> None:
    """Check the configuration of a run in which this plugin takes part; raise `UsageError` to refuse it.

    Called: after parsing, before any process starts, and only for plugins that own something in `plan` or were named
    with `-p`. `cfg` is read-only.
    Process: main only.
    May import: stdlib and sf_core.

    **Example**::

        from sf_core import UsageError, hookimpl

        @hookimpl
        def sf_configure(cfg):
            if cfg.maze_size % 2 == 0:
                raise UsageError(f"maze_size={cfg.maze_size} is even; mazes need an odd size, try {cfg.maze_size + 1}")
    """


@hookspec
def sf_report_header(cfg: Any, plan: Any) -> str | Iterable[str]:  # type: ignore[empty-body]
    """Lines for the banner of the run and for `plan.json`.

    Called: when a run starts, and only for plugins that own something in `plan` or were named with `-p`.
    Process: main only.
    May import: stdlib and sf_core.

    **Example**::

        from sf_core import hookimpl

        @hookimpl
        def sf_report_header(cfg):
            return f"mazes of size {cfg.maze_size}"
    """
