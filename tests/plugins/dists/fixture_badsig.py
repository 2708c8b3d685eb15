"""A hook with an argument that its specification does not have."""

from sf_core import EnvSpec, hookimpl


@hookimpl
def sf_environments(colour):
    yield EnvSpec(name="bad_env", factory="fixture_grid.env:make_grid")
