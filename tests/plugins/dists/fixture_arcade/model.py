"""An encoder as a plugin writes it."""

import torch

from sf_core.model.encoder import Encoder


class ArcadeEncoder(Encoder):
    def __init__(self, cfg, obs_space):
        super().__init__(cfg)
        shape = obs_space["obs"].shape
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(shape[0] * shape[1] * shape[2], 64), torch.nn.ReLU()
        )

    def forward(self, obs_dict):
        return self.layers(obs_dict["obs"])

    def get_out_size(self):
        return 64
