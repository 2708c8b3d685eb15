"""A good plugin, with one misspelt hook: the other hooks keep working."""

from sf_core import Arg, EnvSpec, Metric, ObserverSpec, Preset, hookimpl


@hookimpl
def sf_environments():
    yield EnvSpec(
        name="grid_walk",
        factory="fixture_grid.env:make_grid",
        summary="walk to the end of a corridor",
        defaults={"gamma": 0.9, "use_rnn": False},
        args=(Arg("--grid_size", int, 5, "cells of the corridor"),),
        metrics=(Metric("distance", "cells", "how far from the end the episode ended"),),
    )


@hookimpl
def sf_enviroments():
    yield EnvSpec(name="grid_never", factory="fixture_grid.env:make_grid")


@hookimpl
def sf_observers():
    yield ObserverSpec(name="grid_counter", factory="fixture_grid.observer:EpisodeCounter")


@hookimpl
def sf_presets():
    yield Preset(name="grid_fast", values={"gamma": 0.5}, applies_to=("grid_*",), summary="short-sighted")


@hookimpl
def sf_arguments():
    yield Arg("--grid_colour", str, "grey", "colour of the walls")


@hookimpl
def sf_report_header(cfg):
    return f"a corridor of {cfg.get('grid_size', 5)} cells"
