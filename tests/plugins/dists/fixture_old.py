"""Built for another plugin API."""

from sf_core import EnvSpec, hookimpl

SF_PLUGIN_API = 2


@hookimpl
def sf_environments():
    yield EnvSpec(name="old_env", factory="fixture_grid.env:make_grid")
