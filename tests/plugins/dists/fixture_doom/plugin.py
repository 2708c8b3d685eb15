"""A good plugin, one of whose envs needs what is not here."""

from sf_core import EnvSpec, hookimpl


@hookimpl
def sf_environments():
    yield EnvSpec(name="doom_plain", factory="fixture_grid.env:make_grid", summary="works without the simulator")
    yield EnvSpec(
        name="doom_basic",
        factory="fixture_doom.env:make_doom",
        requires={"absent_simulator": "absent-simulator-package"},
        summary="shoot a monster",
    )
