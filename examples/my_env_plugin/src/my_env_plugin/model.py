"""The network that looks at mazes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from sf_core.model.encoder import Encoder


class MazeCNN(Encoder):
    """`view` [N, 3, 11, 11] and `compass` [N, 2], normalised, to [N, 128]."""

    def __init__(self, cfg: Any, obs_space: spaces.Dict) -> None:
        super().__init__(cfg)
        layers, _, width = obs_space["view"].shape
        channels = cfg.maze_channels
        width = (width - 2 - 3) // 2 + 1  # after both convolutions
        self.view = nn.Sequential(
            nn.Conv2d(layers, channels, kernel_size=3),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.joined = nn.Sequential(nn.Linear(channels * width**2 + obs_space["compass"].shape[0], 128), nn.ReLU())
        self.encoder_out_size = 128

    def forward(self, obs_dict: Mapping[str, Tensor]) -> Tensor:
        return self.joined(torch.cat([self.view(obs_dict["view"]), obs_dict["compass"]], dim=1))
