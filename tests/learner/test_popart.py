import pytest
import torch
from gymnasium import spaces
from torch import nn

from sf_core.cfg.arguments import default_cfg
from sf_core.learner.popart import values_preserved
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.normalizer import ReturnsNormalizer


class Network(ActorCritic):
    def __init__(self):
        super().__init__(spaces.Dict({"obs": spaces.Box(-1, 1, (3,))}), spaces.Discrete(2), default_cfg())
        self.critic_linear = nn.Linear(3, 1)
        self.returns_normalizer.update(5.0 + torch.randn(500))

    def value(self, x):
        return self.returns_normalizer.denormalize(self.critic_linear(x).squeeze(-1))


def test_values_in_reward_units_stay_when_their_statistics_change():
    torch.manual_seed(0)
    network = Network()
    x = torch.randn(64, 3)
    for spread in (3.0, 30.0, 5.0):
        before = network.value(x).detach()
        head_units = network.critic_linear(x).detach()
        with values_preserved(network):
            network.returns_normalizer.update(7.0 + spread * torch.randn(500))
        torch.testing.assert_close(network.value(x).detach(), before, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(network.critic_linear(x), head_units)  # the units did change


def test_without_the_correction_values_would_move():
    torch.manual_seed(0)
    network = Network()
    x = torch.randn(64, 3)
    before = network.value(x).detach()
    network.returns_normalizer.update(7.0 + 30.0 * torch.randn(500))
    assert (network.value(x) - before).abs().max() > 5


def test_the_first_statistics_give_the_untrained_head_the_mean_return():
    network = Network()
    network.returns_normalizer = ReturnsNormalizer()
    with torch.no_grad():
        network.critic_linear.weight.zero_()
        network.critic_linear.bias.zero_()
    with values_preserved(network):
        network.returns_normalizer.update(100.0 + torch.randn(10_000))
    assert network.value(torch.randn(4, 3)).tolist() == pytest.approx([100.0] * 4, abs=0.1)


@pytest.mark.parametrize("layer", [nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 1)), None])
def test_an_actor_critic_with_another_value_head_is_left_alone(layer):
    network = Network()
    network.critic_linear = layer
    before = [p.clone() for p in network.parameters()]
    with values_preserved(network):
        network.returns_normalizer.update(torch.randn(50))
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


def test_without_return_normalisation_there_is_nothing_to_preserve():
    network = Network()
    network.returns_normalizer = None
    weight = network.critic_linear.weight.clone()
    with values_preserved(network):
        pass
    assert torch.equal(network.critic_linear.weight, weight)
    assert isinstance(Network().returns_normalizer, ReturnsNormalizer)
