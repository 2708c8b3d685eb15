"""What is reported of the optimizer and the normalisers, from numbers worked out by hand."""

import pytest
import torch
from gymnasium import spaces

from sf_core.cfg.arguments import default_cfg
from sf_core.learner.inner_state import inner_state
from sf_core.learner.optimizer import OPTIMIZERS, make_optimizer
from sf_core.model.actor_critic import ActorCritic


class Network(ActorCritic):
    def __init__(self):
        space = spaces.Dict({"obs": spaces.Box(-1, 1, (2,)), "speed": spaces.Box(-1, 1, ())})
        super().__init__(space, spaces.Discrete(2), default_cfg())
        self.first, self.second = (torch.nn.Parameter(torch.zeros(3)) for _ in range(2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_numbers_are_those_of_the_state(name):
    network = Network()
    optimizer = make_optimizer([network.first, network.second], name=name, lr=0.1, betas=(0.9, 0.75), eps=1e-6)
    assert "adam_max_second_moment" not in inner_state(network, optimizer)  # before the first step
    network.first.grad = torch.tensor([1.0, -4.0, 2.0])
    network.second.grad = torch.tensor([3.0, 0.0, 0.0])
    optimizer.step()
    network.obs_normalizer.running["obs"].mean.copy_(torch.tensor([1.0, 3.0]))
    network.obs_normalizer.running["obs"].var.copy_(torch.tensor([4.0, 16.0]))
    network.returns_normalizer.var.fill_(25.0)
    assert inner_state(network, optimizer) == pytest.approx(
        {
            "adam_max_second_moment": 0.25 * 16,  # (1 - β2) g²
            "obs_running_mean": 2.0,
            "obs_running_std": 3.0,
            "speed_running_mean": 0.0,
            "speed_running_std": 1.0,
            "returns_running_mean": 0.0,
            "returns_running_std": 5.0,
        },
        abs=1e-4,
    )
