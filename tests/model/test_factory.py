import numpy as np
import pytest
from gymnasium import spaces

from sf_core.cfg.arguments import default_cfg
from sf_core.model.factory import ModelFactory
from sf_core.plugins.plan import ComponentRef, ModelPlan
from sf_core.utils.errors import UsageError


def only_images(obs_space):
    return all(len(space.shape) == 3 for space in obs_space.spaces.values())


def factory(encoder):
    def part(name, ref, **params):
        return ComponentRef(name, "core", ref, params)

    return ModelFactory(
        ModelPlan(
            actor_critic=part("shared", "sf_core.model.actor_critic:make_actor_critic", kind="shared"),
            encoder=encoder,
            core=part("none", "sf_core.model.core:make_core", kind="none"),
            decoder=part("mlp", "sf_core.model.decoder:make_decoder"),
        )
    )


def test_an_encoder_that_does_not_take_the_observations_is_refused_by_name_with_what_was_found():
    encoder = ComponentRef("maze_cnn", "my_env", "sf_core.model.encoder:make_encoder", {}, only_images)
    vectors = spaces.Dict({"compass": spaces.Box(-1, 1, (2,), np.float32)})
    with pytest.raises(UsageError, match=r"my_env/maze_cnn does not take these observations \(compass \(2,\)\)"):
        factory(encoder).make_model_encoder_func(default_cfg(), vectors)


def test_an_encoder_that_takes_them_is_made():
    encoder = ComponentRef("auto", "core", "sf_core.model.encoder:make_encoder", {}, only_images)
    images = spaces.Dict({"obs": spaces.Box(0, 255, (3, 40, 40), np.uint8)})
    assert factory(encoder).make_model_encoder_func(default_cfg(), images).get_out_size() == 512
