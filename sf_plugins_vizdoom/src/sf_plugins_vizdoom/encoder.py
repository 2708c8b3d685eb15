"""The encoder for a screen with measurements beside it, as in Sample Factory.

What comes in: normalised `{"obs": [N, *image], "measurements": [N, M]}`. What leaves: `[N, D]`. This file does not
know the game.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from gymnasium import spaces
from torch import Tensor

from sf_core.model.encoder import Encoder, make_img_encoder
from sf_core.model.model_utils import create_mlp, nonlinearity
from sf_core.utils.attr_dict import AttrDict

MEASUREMENTS_LAYERS = (128, 128)


class DoomMeasurementsEncoder(Encoder):
    """The image encoder of `--encoder_conv_architecture` and two layers of 128 for the measurements, side by side."""

    def __init__(self, cfg: AttrDict, obs_space: spaces.Dict) -> None:
        super().__init__(cfg)
        self.screen = make_img_encoder(cfg, obs_space["obs"])
        (num_measurements,) = obs_space["measurements"].shape or (0,)
        self.measurements = create_mlp(list(MEASUREMENTS_LAYERS), num_measurements, nonlinearity(cfg, inplace=True))
        self.encoder_out_size = self.screen.get_out_size() + MEASUREMENTS_LAYERS[-1]

    def forward(self, obs_dict: Mapping[str, Tensor]) -> Tensor:
        """`[N, D]`: the screen's features, then those of the measurements."""
        return torch.cat((self.screen(obs_dict["obs"]), self.measurements(obs_dict["measurements"])), dim=1)
