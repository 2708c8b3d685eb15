"""Fails after offering something: nothing of that hook counts, the other hook does."""

from sf_core import EncoderSpec, EnvSpec, hookimpl


@hookimpl
def sf_environments():
    yield EnvSpec(name="late_env", factory="fixture_grid.env:make_grid")
    raise RuntimeError("late boom")


@hookimpl
def sf_encoders():
    yield EncoderSpec(name="late_encoder", factory="fixture_arcade.model:ArcadeEncoder")
