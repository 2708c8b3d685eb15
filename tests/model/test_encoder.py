import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.model.encoder import (
    ImageEncoder,
    MlpEncoder,
    channels_first,
    image_shape,
    make_encoder,
    make_img_encoder,
    smallest_image,
)
from sf_core.utils.errors import UsageError


def conv(channels_in, channels_out, kernel):
    return channels_in * channels_out * kernel * kernel + channels_out


# Sizes of one side for 84: (84-8)/4+1 = 20, (20-4)/2+1 = 9, then k3 s2: 4, or k3 s1: 7.
EXPECTED = {
    "convnet_simple": (conv(4, 32, 8) + conv(32, 64, 4) + conv(64, 128, 3), 128 * 4 * 4),
    "convnet_impala": (conv(4, 16, 8) + conv(16, 32, 4), 32 * 9 * 9),
    "convnet_atari": (conv(4, 32, 8) + conv(32, 64, 4) + conv(64, 64, 3), 64 * 7 * 7),
    # 84 -> 42 -> 21 -> 11 (max-pooling rounds up); a stage has its own convolution and two blocks of two
    "resnet_impala": (
        conv(4, 16, 3) + 4 * conv(16, 16, 3) + conv(16, 32, 3) + 4 * conv(32, 32, 3) + 5 * conv(32, 32, 3),
        32 * 11 * 11,
    ),
}


@pytest.mark.parametrize("architecture", sorted(EXPECTED))
def test_conv_encoders_have_the_documented_sizes(cfg_of, architecture):
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    conv_parameters, conv_out = EXPECTED[architecture]
    encoder = make_img_encoder(cfg_of(encoder_conv_mlp_layers=[512]), space, architecture)
    assert sum(p.numel() for p in encoder.conv_head.parameters()) == conv_parameters
    assert sum(p.numel() for p in encoder.parameters()) == conv_parameters + conv_out * 512 + 512
    assert encoder.get_out_size() == 512
    assert encoder(torch.rand(3, 4, 84, 84)).shape == (3, 512)
    without_tail = make_img_encoder(cfg_of(encoder_conv_mlp_layers=[]), space, architecture)
    assert without_tail.get_out_size() == conv_out
    assert without_tail(torch.rand(2, 4, 84, 84)).shape == (2, conv_out)


@pytest.mark.parametrize("architecture", sorted(EXPECTED))
def test_the_memory_order_of_images_does_not_change_the_result(cfg_of, architecture):
    encoder = make_img_encoder(cfg_of(), spaces.Box(0, 1, (3, 40, 48)), architecture)
    x = torch.rand(2, 3, 40, 48)
    torch.testing.assert_close(encoder(x), encoder(x.contiguous(memory_format=torch.channels_last)))
    for parameter in encoder.conv_head.parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)


def test_residual_blocks_add_their_input(cfg_of):
    encoder = make_img_encoder(cfg_of(), spaces.Box(0, 1, (3, 16, 16)), "resnet_impala")
    block = encoder.conv_head[2]
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 16, 8, 8)
    assert torch.equal(block(x.clone()), x)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((84, 84), (1, 84, 84)),
        ((4, 84, 84), (4, 84, 84)),
        ((84, 80, 3), (3, 84, 80)),
        ((4, 84, 80, 3), (12, 84, 80)),
        ((2, 3, 84, 80), (6, 84, 80)),
    ],
)
def test_images_are_brought_to_channels_first(shape, expected):
    assert image_shape(shape) == expected
    x = torch.rand(5, *shape)
    assert channels_first(x, shape).shape == (5, *expected)


def test_the_channels_of_stacked_images_are_joined_image_after_image():
    x = torch.rand(1, 2, 10, 9, 3)  # two images whose channels come last
    joined = channels_first(x, (2, 10, 9, 3))
    for image in range(2):
        for channel in range(3):
            assert torch.equal(joined[0, image * 3 + channel], x[0, image, :, :, channel])


def test_the_dict_encoder_joins_its_inputs_in_the_order_of_the_sorted_keys(cfg_of):
    cfg = cfg_of(encoder_mlp_layers=[8], encoder_conv_mlp_layers=[32], encoder_conv_architecture="convnet_atari")
    space = spaces.Dict(
        [
            ("z", spaces.Discrete(3)),
            ("camera/left", spaces.Box(0, 255, (36, 40, 3), np.uint8)),
            ("keys", spaces.Box(-1, 1, (2, 3))),  # a name that ModuleDict uses itself; too small for convolutions
            ("scalar", spaces.Box(-1, 1, ())),
        ]
    )
    encoder = make_encoder(cfg, space)
    assert encoder.get_out_size() == 32 + 8 + 8 + 8
    assert isinstance(encoder.encoders["camera/left"], ImageEncoder)
    x = {
        "z": torch.tensor([0, 2]),
        "camera/left": torch.rand(2, 36, 40, 3),
        "keys": torch.rand(2, 2, 3),
        "scalar": torch.rand(2),
    }
    y = encoder(x)
    assert y.shape == (2, 56)
    x["z"] = torch.tensor([1, 2])  # the last key changes the last 8 numbers of the first row alone
    changed = (encoder(x) != y).nonzero().tolist()
    assert changed
    assert all(row == 0 and column >= 48 for row, column in changed)


def test_discrete_observations_are_one_hot_from_their_start(cfg_of):
    encoder = MlpEncoder(cfg_of(encoder_mlp_layers=[]), spaces.Discrete(3, start=-1))
    assert encoder(torch.tensor([-1, 1])).tolist() == [[1, 0, 0], [0, 0, 1]]
    encoder = MlpEncoder(cfg_of(encoder_mlp_layers=[]), spaces.MultiDiscrete([2, 3], start=[0, 5]))
    assert encoder(torch.tensor([[1, 5], [0, 7]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    encoder = MlpEncoder(cfg_of(encoder_mlp_layers=[]), spaces.MultiBinary([2, 2]))
    assert encoder(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])).tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 2), (2, 2, 2, 2), (2, 1, 2, 1, 2)])
def test_boxes_of_any_rank_are_encoded(cfg_of, shape):
    encoder = make_encoder(cfg_of(), spaces.Dict({"obs": spaces.Box(-1, 1, shape)}))
    assert encoder({"obs": torch.rand(4, *shape)}).shape == (4, encoder.get_out_size())


# (1-1)*2+3 = 3, (3-1)*2+4 = 8, (8-1)*4+8 = 36
@pytest.mark.parametrize(
    ("architecture", "least"),
    [("convnet_simple", 36), ("convnet_impala", 20), ("convnet_atari", 36), ("resnet_impala", 1)],
)
def test_the_smallest_image_of_an_architecture_just_fits(cfg_of, architecture, least):
    assert smallest_image(architecture) == least
    space = spaces.Dict({"obs": spaces.Box(0, 1, (2, least, least))})
    assert make_encoder(cfg_of(), space, architecture)({"obs": torch.rand(2, 2, least, least)}).shape[0] == 2
    if least > 1:
        too_small = spaces.Dict({"obs": spaces.Box(0, 1, (2, least - 1, least))})
        with pytest.raises(UsageError, match=f"smaller than the {least} x {least} that {architecture} needs"):
            make_encoder(cfg_of(), too_small, architecture)
        automatic = make_encoder(cfg_of(encoder_conv_architecture=architecture), too_small, "auto")
        assert isinstance(automatic.encoders["obs"], MlpEncoder)


def test_an_image_architecture_without_images_is_refused(cfg_of):
    with pytest.raises(UsageError, match="--encoder=convnet_simple is for images"):
        make_encoder(cfg_of(), spaces.Dict({"obs": spaces.Box(-1, 1, (4,))}), "convnet_simple")


def test_mlp_by_name_flattens_images(cfg_of):
    encoder = make_encoder(cfg_of(), spaces.Dict({"obs": spaces.Box(0, 1, (3, 40, 40))}), "mlp")
    assert isinstance(encoder.encoders["obs"], MlpEncoder)
