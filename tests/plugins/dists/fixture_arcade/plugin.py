"""A good plugin: three envs from one factory, and an encoder."""

from sf_core import EncoderSpec, EnvSpec, WrapperSpec, hookimpl


@hookimpl
def sf_environments():
    for game, columns in (("pong", 8), ("breakout", 12), ("catch", 16)):
        yield EnvSpec(
            name=f"arcade_{game}",
            factory="fixture_arcade.env:make_arcade_env",
            vector_factory="fixture_arcade.env:make_arcade_vector",
            worker_init="fixture_arcade.env:init_worker",
            params={"columns": columns},
            requires=("gymnasium",),
            summary=f"arcade {game}",
            tags=("image",),
            defaults={"encoder": "arcade_cnn", "gamma": 0.95},
        )


@hookimpl
def sf_encoders():
    yield EncoderSpec(
        name="arcade_cnn", factory="fixture_arcade.model:ArcadeEncoder", requires=("torch",), summary="two layers"
    )


@hookimpl
def sf_wrappers():
    yield WrapperSpec(name="half_reward", factory="fixture_arcade.env:ScaledReward", params={"scale": 0.5})
