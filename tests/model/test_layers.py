import pytest
import torch
from torch import nn

from sf_core.model.layers import (
    calc_num_elements,
    conv_layers,
    create_mlp,
    fc_layer,
    initialize_weights,
    is_channels_first,
    module_name,
    nonlinearity,
    to_float32,
)
from sf_core.utils.errors import UsageError


def test_an_mlp_has_an_activation_after_every_layer():
    mlp = create_mlp([7, 3], 5, nn.Tanh())
    assert [type(layer).__name__ for layer in mlp] == ["Linear", "Tanh", "Linear", "Tanh"]
    # 5*7 + 7 + 7*3 + 3
    assert sum(p.numel() for p in mlp.parameters()) == 66
    assert mlp(torch.randn(2, 5)).abs().max() <= 1


def test_an_mlp_without_layers_is_the_identity():
    x = torch.randn(2, 5)
    assert create_mlp([], 5, nn.ELU())(x) is x


@pytest.mark.parametrize(("name", "expected"), [("elu", nn.ELU), ("relu", nn.ReLU), ("tanh", nn.Tanh)])
def test_nonlinearity_is_chosen_by_name(cfg_of, name, expected):
    assert isinstance(nonlinearity(cfg_of(nonlinearity=name)), expected)


def test_an_unknown_nonlinearity_is_refused(cfg_of):
    with pytest.raises(UsageError, match="--nonlinearity=swish"):
        nonlinearity(cfg_of(nonlinearity="swish"))


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("channels_last", [False, True])
def test_orthogonal_rows_have_the_length_of_the_gain(gain, channels_last):
    conv = nn.Conv2d(4, 8, 3)
    if channels_last:
        conv = conv.to(memory_format=torch.channels_last)
    for layer, rows in ((nn.Linear(12, 5), 5), (conv, 8)):
        initialize_weights(layer, "orthogonal", gain)
        flat = layer.weight.reshape(rows, -1)
        torch.testing.assert_close(flat @ flat.T, torch.eye(rows) * gain**2, atol=1e-5, rtol=0)
        assert (layer.bias == 0).all()


def test_a_layer_with_a_spectral_norm_stretches_nothing_by_more_than_one():
    layer = fc_layer(8, 5, spec_norm=True)
    initialize_weights(layer, "orthogonal", 3.0)
    for _ in range(30):  # its power iteration goes on with every forward pass in training mode
        layer(torch.zeros(1, 8))
    assert torch.linalg.matrix_norm(layer.weight.detach(), 2).item() == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(layer.parametrizations.weight.original.norm(dim=1), torch.full((5,), 3.0))


def test_convolutions_and_poolings_are_stacked_as_listed():
    stack = conv_layers([(16, 3, 1), "maxpool_2x2", (8, 3, 2)], 4, nn.ReLU())
    assert [type(layer) for layer in stack] == [nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Conv2d, nn.ReLU]
    assert stack(torch.zeros(2, 4, 20, 20)).shape == (2, 8, 4, 4)
    with pytest.raises(UsageError, match="maxpool_3x3"):
        conv_layers(["maxpool_3x3"], 4, nn.ReLU())


def test_xavier_uniform_stays_within_its_bound():
    layer = nn.Linear(30, 20)
    initialize_weights(layer, "xavier_uniform", 2.0)
    bound = 2.0 * (6 / 50) ** 0.5
    assert 0.9 * bound < layer.weight.abs().max() <= bound
    assert (layer.bias == 0).all()


def test_torch_default_leaves_weights_and_biases_alone():
    layer = nn.Linear(3, 3)
    before = (layer.weight.clone(), layer.bias.clone())
    assert (before[1] != 0).all()
    initialize_weights(layer, "torch_default", 5.0)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])


def test_recurrent_layers_keep_their_own_initialisation():
    gru = nn.GRU(3, 4)
    before = gru.weight_ih_l0.clone()
    gru.apply(lambda layer: initialize_weights(layer, "orthogonal", 1.0))
    assert torch.equal(gru.weight_ih_l0, before)


def test_calc_num_elements_counts_the_output_of_one_input():
    assert calc_num_elements(nn.Conv2d(3, 5, 2), (3, 4, 4)) == 5 * 3 * 3


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 84, 84), True), ((84, 84, 3), False), ((84, 84, 1), False), ((3, 3, 3), True), ((1, 8, 4), True)],
)
def test_images_with_few_channels_at_the_end_are_channels_last(shape, expected):
    assert is_channels_first(shape) is expected


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int16])
@pytest.mark.parametrize("channels", [1, 4, 20])
def test_images_become_float32_in_channels_last_order_with_the_same_values(dtype, channels):
    images = torch.randint(0, 255, (2, 3, channels, 6, 5)).to(dtype)
    converted = to_float32(images, 3)
    assert converted.dtype == torch.float32
    assert converted.shape == images.shape
    assert converted.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(converted, images.to(torch.float32))
    assert to_float32(converted, 3) is converted  # nothing left to do


@pytest.mark.parametrize("key", ["obs", "a/b", "a.b", "keys", "training", "forward", "", "%", "a%2Eb"])
def test_any_key_can_name_a_module(key):
    nn.ModuleDict()[module_name(key)] = nn.Identity()


def test_different_keys_name_different_modules():
    keys = ["a.b", "a%2Eb", "keys", "%keys", "%25keys"]
    assert len({module_name(key) for key in keys}) == len(keys)
