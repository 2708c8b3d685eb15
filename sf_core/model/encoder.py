"""Encoders: normalised observations to one vector.

In: `{key: [N, *space]}` as the observation normaliser leaves them. Out: `[N, D]`. One network per key, chosen by the
shape of its space; the outputs are joined in the order of the sorted keys. This file knows neither memory nor actions.

Convolutions run in channels_last memory order, on the CPU (oneDNN) as on CUDA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from sf_core.model.layers import (
    calc_num_elements,
    conv_layers,
    create_mlp,
    is_channels_first,
    model_device,
    module_name,
    nonlinearity,
)
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

# (output channels, kernel, stride) of each layer
CONV_LAYERS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "convnet_simple": ((32, 8, 4), (64, 4, 2), (128, 3, 2)),
    "convnet_impala": ((16, 8, 4), (32, 4, 2)),  # the small network of Espeholt et al. 2018
    "convnet_atari": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015
}
RESNET_STAGES = (16, 32, 32)  # channels; the deep network of Espeholt et al. 2018
IMAGE_ARCHITECTURES = (*CONV_LAYERS, "resnet_impala")


class Encoder(nn.Module):
    """Base of every encoder.

    A subclass defines `forward(obs_dict) -> [N, D]` and either sets `encoder_out_size` or overrides `get_out_size`.
    """

    def __init__(self, cfg: AttrDict) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder_out_size = -1

    def get_out_size(self) -> int:
        """Size of the output vector, D."""
        return self.encoder_out_size

    def model_device(self) -> torch.device:
        """Where this encoder's weights are."""
        return model_device(self)

    def type_for_input_tensor(self, input_tensor_name: str) -> torch.dtype:
        """What `forward` gets an observation as. Any type but float32 leaves its numbers as the env gave them."""
        return torch.float32

    def forward(self, obs_dict: Mapping[str, Tensor]) -> Tensor:
        """`{key: [N, *space]}` to `[N, D]`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(obs_dict)")


def asks_for_types(encoder: Encoder) -> bool:
    """Whether an encoder has anything to say about the types of its inputs."""
    return getattr(type(encoder), "type_for_input_tensor", None) not in (None, Encoder.type_for_input_tensor)


class OneHot(nn.Module):
    """Integers `[N, *shape]` of a Discrete or MultiDiscrete space as one-hot vectors side by side, `[N, choices]`."""

    element: Tensor
    value: Tensor

    def __init__(self, space: spaces.Discrete | spaces.MultiDiscrete) -> None:
        super().__init__()
        if isinstance(space, spaces.Discrete):
            sizes, starts = [int(space.n)], [int(space.start)]
        else:
            sizes = space.nvec.reshape(-1).tolist()
            start = getattr(space, "start", None)
            starts = [0] * len(sizes) if start is None else start.reshape(-1).tolist()
        element = [index for index, size in enumerate(sizes) for _ in range(size)]
        value = [start + choice for size, start in zip(sizes, starts, strict=True) for choice in range(size)]
        self.register_buffer("element", torch.tensor(element), persistent=False)
        self.register_buffer("value", torch.tensor(value), persistent=False)

    @property
    def out_size(self) -> int:
        """Number of choices of all elements together."""
        return self.element.numel()

    def forward(self, x: Tensor) -> Tensor:
        """`[N, *shape]` integers to `[N, choices]` float32."""
        return (x.reshape(x.shape[0], -1)[:, self.element] == self.value).to(torch.float32)


class MlpEncoder(Encoder):
    """Fully connected layers of sizes `--encoder_mlp_layers` on one flattened observation."""

    def __init__(self, cfg: AttrDict, space: spaces.Space[Any]) -> None:
        super().__init__(cfg)
        self.one_hot: OneHot | None = None
        if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
            self.one_hot = OneHot(space)
            input_size = self.one_hot.out_size
        else:
            assert space.shape is not None
            input_size = int(torch.Size(space.shape).numel())
        self.mlp_head = create_mlp(cfg.encoder_mlp_layers, input_size, nonlinearity(cfg, inplace=True))
        self.encoder_out_size = cfg.encoder_mlp_layers[-1] if cfg.encoder_mlp_layers else input_size

    def forward(self, x: Any) -> Tensor:
        """`[N, *space]` to `[N, D]`."""
        flat = x.reshape(x.shape[0], -1) if self.one_hot is None else self.one_hot(x)
        y: Tensor = self.mlp_head(flat)
        return y


class ImageEncoder(Encoder):
    """A convolutional head and then fully connected layers of sizes `--encoder_conv_mlp_layers`, on one image.

    Takes `[N, C, H, W]`, `[N, H, W, C]`, `[N, H, W]` and stacks of images `[N, S, ...]`, whose channels are joined.
    """

    def __init__(self, cfg: AttrDict, space: spaces.Space[Any], head: nn.Module) -> None:
        super().__init__(cfg)
        assert space.shape is not None
        self.space_shape = space.shape
        self.conv_head = head
        conv_out_size = calc_num_elements(head, image_shape(space.shape))
        self.conv_head.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        sizes = cfg.encoder_conv_mlp_layers
        self.mlp_layers = create_mlp(sizes, conv_out_size, nonlinearity(cfg, inplace=True))
        self.encoder_out_size = sizes[-1] if sizes else conv_out_size

    def forward(self, x: Any) -> Tensor:
        """`[N, *space]` to `[N, D]`."""
        images = channels_first(x, self.space_shape).contiguous(memory_format=torch.channels_last)
        y: Tensor = self.mlp_layers(self.conv_head(images).flatten(1))
        return y


class ConvEncoder(ImageEncoder):
    """`convnet_simple`, `convnet_impala` or `convnet_atari`: plain convolutions, the activation after each."""

    def __init__(self, cfg: AttrDict, space: spaces.Space[Any], architecture: str | None = None) -> None:
        assert space.shape is not None
        layers = CONV_LAYERS[architecture or cfg.encoder_conv_architecture]
        activation = nonlinearity(cfg, inplace=True)
        super().__init__(cfg, space, conv_layers(layers, image_shape(space.shape)[0], activation))


class ResBlock(nn.Module):
    """x + conv(act(conv(act(x)))), 3 x 3 convolutions that keep the size."""

    def __init__(self, cfg: AttrDict, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nonlinearity(cfg),  # not in place: x is added again below
            nn.Conv2d(channels, channels, 3, padding=1),
            nonlinearity(cfg, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        y: Tensor = x + self.layers(x)
        return y


class ResnetEncoder(ImageEncoder):
    """`resnet_impala`: three stages of convolution, max-pooling and two residual blocks; then the activation."""

    def __init__(self, cfg: AttrDict, space: spaces.Space[Any]) -> None:
        assert space.shape is not None
        channels = image_shape(space.shape)[0]
        layers: list[nn.Module] = []
        for out_channels in RESNET_STAGES:
            layers += [
                nn.Conv2d(channels, out_channels, 3, padding=1),
                nn.MaxPool2d(3, stride=2, padding=1),
                ResBlock(cfg, out_channels),
                ResBlock(cfg, out_channels),
            ]
            channels = out_channels
        layers.append(nonlinearity(cfg))
        super().__init__(cfg, space, nn.Sequential(*layers))


class MultiInputEncoder(Encoder):
    """One encoder per observation key, outputs joined in the order of the sorted keys.

    Args:
        cfg: the configuration.
        obs_space: flat Dict of leaves.
        architecture: see `make_encoder`.
    """

    def __init__(self, cfg: AttrDict, obs_space: spaces.Dict, architecture: str = "auto") -> None:
        super().__init__(cfg)
        self.obs_keys = sorted(obs_space.spaces)
        self.encoders = nn.ModuleDict(
            {module_name(key): _leaf_encoder(cfg, key, obs_space[key], architecture) for key in self.obs_keys}
        )
        if architecture in IMAGE_ARCHITECTURES and not any(
            isinstance(encoder, ImageEncoder) for encoder in self.encoders.values()
        ):
            raise UsageError(
                f"--encoder={architecture} is for images, and the observations ({', '.join(self.obs_keys)}) have none; "
                "use --encoder=mlp or --encoder=auto"
            )
        self._inputs = [(key, module_name(key)) for key in self.obs_keys]
        self.encoder_out_size = sum(encoder.get_out_size() for encoder in self.encoders.values())  # type: ignore[operator]

    def forward(self, obs_dict: Mapping[str, Tensor]) -> Tensor:
        """See the base class."""
        outputs = [self.encoders[name](obs_dict[key]) for key, name in self._inputs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def make_encoder(cfg: AttrDict, obs_space: spaces.Dict, architecture: str = "auto") -> Encoder:
    """The built-in encoder for any observation space.

    Args:
        cfg: the configuration.
        obs_space: flat Dict of leaves.
        architecture: `auto` encodes images by `--encoder_conv_architecture` and everything else by an MLP; the name of
            an image architecture uses that one for the images; `mlp` uses an MLP for everything.

    Raises:
        UsageError: an image is too small for the architecture that was asked for by name, or there is no image.
    """
    return MultiInputEncoder(cfg, obs_space, architecture)


def make_img_encoder(cfg: AttrDict, obs_space: spaces.Space[Any], architecture: str | None = None) -> Encoder:
    """The convolutional encoder of one image space, by name or by `--encoder_conv_architecture`."""
    architecture = architecture or cfg.encoder_conv_architecture
    if architecture in CONV_LAYERS:
        return ConvEncoder(cfg, obs_space, architecture)
    if architecture == "resnet_impala":
        return ResnetEncoder(cfg, obs_space)
    raise UsageError(
        f"--encoder_conv_architecture={architecture} is unknown; use one of {', '.join(IMAGE_ARCHITECTURES)}"
    )


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`(C, H, W)` of the image that `channels_first` makes of an observation of `shape` (rank 2, 3 or 4)."""
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) == 4:
        channels, height, width = image_shape(shape[1:])
        return shape[0] * channels, height, width
    return (shape[0], shape[1], shape[2]) if is_channels_first(shape) else (shape[2], shape[0], shape[1])


def channels_first(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`[N, *shape]` to `[N, C, H, W]`: a view, but for stacks of images whose channels come last."""
    if len(shape) == 2:
        return x.unsqueeze(1)
    if len(shape) == 4:
        return channels_first(x.flatten(0, 1), shape[1:]).reshape(x.shape[0], *image_shape(shape))
    return x if is_channels_first(shape) else x.permute(0, 3, 1, 2)


def smallest_image(architecture: str) -> int:
    """The least height and width from which `architecture` leaves anything: 36 for `convnet_simple`."""
    size = 1
    for _, kernel, stride in reversed(CONV_LAYERS.get(architecture, ())):
        size = (size - 1) * stride + kernel
    return size


def _leaf_encoder(cfg: AttrDict, key: str, space: spaces.Space[Any], architecture: str) -> Encoder:
    shape = space.shape or ()
    by_name = architecture != "auto" and len(shape) > 2  # a small matrix beside an image is no mistake
    if architecture == "mlp" or not isinstance(space, spaces.Box) or not 2 <= len(shape) <= 4:
        return MlpEncoder(cfg, space)
    chosen = cfg.encoder_conv_architecture if architecture == "auto" else architecture
    _, height, width = image_shape(shape)
    least = smallest_image(chosen)
    if min(height, width) >= least:
        return make_img_encoder(cfg, space, chosen)
    reason = f"observation {key!r} is {height} x {width}, smaller than the {least} x {least} that {chosen} needs"
    if by_name:
        raise UsageError(f"{reason}; use --encoder=resnet_impala, which takes any size, or --encoder=mlp")
    log.info("%s: it is encoded by an MLP", reason)
    return MlpEncoder(cfg, space)
