"""The small pieces that networks are made of: activations, MLPs, initialisation, memory layout of images.

In: sizes and names from the configuration. Out: plain PyTorch modules and tensors. This file knows neither
observations nor policies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

ConvLayer = tuple[int, int, int] | str
"""(output channels, kernel, stride) of a convolution, or the name of a pooling"""

_ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "tanh": nn.Tanh}


def nonlinearity(cfg: AttrDict, inplace: bool = False) -> nn.Module:
    """The activation that `--nonlinearity` names.

    `inplace` overwrites the input where the activation can be computed from its own output (elu, relu).
    """
    try:
        activation = _ACTIVATIONS[cfg.nonlinearity]
    except KeyError:
        raise UsageError(
            f"--nonlinearity={cfg.nonlinearity} is unknown; use one of {', '.join(_ACTIVATIONS)}"
        ) from None
    return activation() if activation is nn.Tanh else activation(inplace=inplace)


def fc_layer(in_features: int, out_features: int, bias: bool = True, spec_norm: bool = False) -> nn.Module:
    """One linear layer; with `spec_norm` its weights are divided by their spectral norm (Miyato et al. 2018)."""
    layer = nn.Linear(in_features, out_features, bias)
    return nn.utils.parametrizations.spectral_norm(layer) if spec_norm else layer


def conv_layers(layers: Sequence[ConvLayer], input_channels: int, activation: nn.Module) -> nn.Sequential:
    """Convolutions, the activation after each, and poolings: `[B, input_channels, H, W]` to `[B, C, H', W']`.

    Args:
        layers: `(output channels, kernel, stride)` for a convolution, `"maxpool_2x2"` for a pooling.
        input_channels: of the image.
        activation: one module for all.

    Raises:
        UsageError: a layer is neither.
    """
    modules: list[nn.Module] = []
    for layer in layers:
        if layer == "maxpool_2x2":
            modules.append(nn.MaxPool2d(2))
        elif isinstance(layer, str):
            raise UsageError(f"a layer {layer!r} does not exist; use (channels, kernel, stride) or 'maxpool_2x2'")
        else:
            output_channels, kernel, stride = layer
            modules += [nn.Conv2d(input_channels, output_channels, kernel, stride), activation]
            input_channels = output_channels
    return nn.Sequential(*modules)


def create_mlp(layer_sizes: Sequence[int], input_size: int, activation: nn.Module) -> nn.Module:
    """Linear layers of the given sizes, the activation after each; the identity if there are none.

    `[B, input_size]` to `[B, layer_sizes[-1]]`.
    """
    layers: list[nn.Module] = []
    for size in layer_sizes:
        layers += [fc_layer(input_size, size), activation]
        input_size = size
    return nn.Sequential(*layers) if layers else nn.Identity()


def calc_num_elements(module: nn.Module, input_shape: Sequence[int]) -> int:
    """How many numbers `module` returns for one input of `input_shape` (without the batch axis)."""
    with torch.no_grad():
        return int(module(torch.zeros(1, *input_shape)).numel())


def model_device(model: nn.Module) -> torch.device:
    """Where the first parameter or buffer of `model` is; the CPU if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


def initialize_weights(layer: nn.Module, scheme: str, gain: float) -> None:
    """Initialise one Linear or Conv2d layer in place; other kinds of layer keep PyTorch's initialisation.

    Args:
        layer: any module; pass this function to `Module.apply`.
        scheme: `orthogonal` (Saxe et al. 2014), `xavier_uniform` (Glorot and Bengio 2010), both with zero biases, or
            `torch_default`, which leaves weights *and* biases as PyTorch made them.
        gain: scale of the weights for the first two schemes.
    """
    if scheme == "torch_default" or not isinstance(layer, nn.Linear | nn.Conv2d):
        return
    # a contiguous copy, because orthogonal_ cannot write to channels_last weights
    weight = torch.empty_like(layer.weight, memory_format=torch.contiguous_format)
    if scheme == "orthogonal":
        nn.init.orthogonal_(weight, gain=gain)
    elif scheme == "xavier_uniform":
        nn.init.xavier_uniform_(weight, gain=gain)
    else:
        raise UsageError(
            f"--policy_initialization={scheme} is unknown; use orthogonal, xavier_uniform or torch_default"
        )
    with torch.no_grad():
        if nn.utils.parametrize.is_parametrized(layer, "weight"):
            layer.weight = weight  # what it is computed from
        else:
            layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.zero_()


def is_channels_first(shape: Sequence[int]) -> bool:
    """Whether an image space of rank 3 is `[C, H, W]` rather than `[H, W, C]`.

    The last axis holds the channels if it has 1, 3 or 4 entries (grey, RGB, RGBA) and the first axis has more.
    """
    return not (shape[-1] in (1, 3, 4) and shape[0] > shape[-1])


def to_float32(x: Tensor, rank: int) -> Tensor:
    """`[..., *space]` of any dtype as float32; `x` itself if nothing had to change.

    Images (`rank` 3, channels first) come out in channels_last memory order, in which convolutions are fastest, so that
    a batch of observations is converted exactly once.
    """
    if rank != 3 or not is_channels_first(x.shape[-3:]):
        return x.to(torch.float32)
    images = x.reshape(-1, *x.shape[-3:])  # [N, C, H, W]
    if x.dtype == torch.float32 and images.is_contiguous(memory_format=torch.channels_last):
        return x
    return _to_channels_last(images).view(x.shape)


def _to_channels_last(images: Tensor) -> Tensor:
    """`[N, C, H, W]` of any dtype as new float32 memory in channels_last order.

    On the CPU the planes are converted one by one where they are few: for 84 x 84 x 4 bytes that is ten times as fast
    as the general transposing copy of `Tensor.to`, which would cost a quarter of a training step.
    """
    num_images, channels, height, width = images.shape
    if images.device.type != "cpu" or channels > 16:
        return images.to(torch.float32, memory_format=torch.channels_last)
    pixels = torch.empty(num_images, height, width, channels)
    for channel in range(channels):
        pixels[..., channel] = images[:, channel]
    return pixels.permute(0, 3, 1, 2)


def module_name(key: str) -> str:
    """An observation key as a name that `nn.ModuleDict` accepts; readable, and different for different keys."""
    name = key.replace("%", "%25").replace(".", "%2E") or "%"
    return f"%{name}" if hasattr(_EMPTY_DICT, name) else name


_EMPTY_DICT = nn.ModuleDict()  # its attributes are the names that are taken
