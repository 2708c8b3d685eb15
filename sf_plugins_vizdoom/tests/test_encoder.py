from __future__ import annotations

import torch
from gymnasium import spaces
from sf_plugins_vizdoom.encoder import DoomMeasurementsEncoder
from sf_plugins_vizdoom.measurements import are_beside_a_screen

from sf_core import parse_full_cfg, parse_sf_args

SPACE = spaces.Dict({"obs": spaces.Box(0, 255, (3, 72, 128), "uint8"), "measurements": spaces.Box(-1, 1, (23,))})


def test_screen_and_measurements_both_reach_the_output():
    argv = ["--env=CartPole-v1"]
    cfg = parse_full_cfg(parse_sf_args(argv)[0], argv)
    encoder = DoomMeasurementsEncoder(cfg, SPACE)
    assert encoder.get_out_size() == 512 + 128
    screen, measurements = torch.rand(2, 3, 72, 128), torch.rand(2, 23)
    features = encoder({"obs": screen, "measurements": measurements})
    assert features.shape == (2, 640)
    other_screen = encoder({"obs": screen + 1, "measurements": measurements})
    other_measurements = encoder({"obs": screen, "measurements": measurements + 1})
    assert torch.equal(other_measurements[:, :512], features[:, :512])
    assert torch.equal(other_screen[:, 512:], features[:, 512:])
    assert not torch.equal(other_screen[:, :512], features[:, :512])
    assert not torch.equal(other_measurements[:, 512:], features[:, 512:])


def test_it_accepts_a_screen_with_measurements_only():
    assert are_beside_a_screen(SPACE)
    assert not are_beside_a_screen(spaces.Dict({"obs": SPACE["obs"]}))
    assert not are_beside_a_screen(spaces.Dict({**SPACE.spaces, "more": spaces.Discrete(2)}))
