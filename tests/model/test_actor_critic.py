import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from sf_core.envs.spaces import num_action_parameters
from sf_core.model.actor_critic import ActorCritic, ActorCriticSharedWeights, has_forward_parts
from sf_core.model.core import ModelCore
from sf_core.model.encoder import Encoder
from sf_core.model.factory import ModelError, build_actor_critic
from sf_core.utils.errors import UsageError

OBS = spaces.Box(-1, 1, (3,))
ACTIONS = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))])


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_shared_weights_have_one_network_and_two_heads(cfg_of, plan_of):
    cfg = cfg_of(use_rnn=True, decoder_mlp_layers=[5])
    network = build_actor_critic(plan_of(), cfg, OBS, ACTIONS)
    encoder = 3 * 16 + 16 + 16 * 8 + 8
    gru = 3 * (8 * 6 + 6 * 6 + 6 + 6)
    decoder = 6 * 5 + 5
    heads = (5 + 1) * (1 + num_action_parameters(ACTIONS))  # 3 choices, 2 means, 2 log-stddevs
    assert count(network) == encoder + gru + decoder + heads
    assert network.state_size == 6
    assert len(network.encoders) == 1


def test_separate_weights_have_two_networks_and_two_states(cfg_of, plan_of):
    cfg = cfg_of(use_rnn=True, rnn_type="lstm", actor_critic_share_weights=False)
    network = build_actor_critic(plan_of(), cfg, OBS, ACTIONS)
    encoder = 3 * 16 + 16 + 16 * 8 + 8
    lstm = 4 * (8 * 6 + 6 * 6 + 6 + 6)
    assert count(network) == 2 * (encoder + lstm) + (6 + 1) * (1 + 7)
    assert network.state_size == 2 * 12
    assert len(network.encoders) == 2


def test_actor_and_critic_do_not_share_anything_when_separate(cfg_of, plan_of):
    network = build_actor_critic(plan_of(), cfg_of(use_rnn=True, actor_critic_share_weights=False), OBS, ACTIONS)
    result = network({"obs": torch.randn(4, 3)}, torch.zeros(4, network.state_size))
    result["values"].sum().backward()
    assert all(p.grad is None or (p.grad == 0).all() for p in network.actor_encoder.parameters())
    assert any((p.grad != 0).any() for p in network.critic_encoder.parameters())


def test_forward_returns_what_sample_factory_names(cfg_of, plan_of):
    network = build_actor_critic(plan_of(), cfg_of(use_rnn=True), OBS, ACTIONS)
    observation, state = {"obs": torch.randn(4, 3)}, torch.zeros(4, 6)
    result = network(observation, state)
    assert set(result) == {"values", "action_logits", "actions", "log_prob_actions", "new_rnn_states"}
    assert result["values"].shape == (4,)
    assert result["action_logits"].shape == (4, 7)
    distribution = network.action_distribution()
    assert distribution is network.last_action_distribution
    torch.testing.assert_close(distribution.log_prob(result["actions"]), result["log_prob_actions"])
    only_values = network(observation, state, values_only=True)
    assert set(only_values) == {"values", "new_rnn_states"}
    torch.testing.assert_close(only_values["values"], result["values"])
    one = network({"obs": observation["obs"][:1]}, state[:1])
    assert one["values"].shape == (1,)  # not squeezed away


def test_every_layer_is_initialised_as_asked(cfg_of, plan_of):
    network = build_actor_critic(plan_of(), cfg_of(policy_init_gain=0.5), OBS, ACTIONS)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            assert (layer.bias == 0).all()
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("adaptive", [True, False])
def test_the_head_may_have_a_gain_of_its_own(cfg_of, plan_of, adaptive):
    cfg = cfg_of(policy_init_gain=0.5, policy_head_init_gain=0.01, adaptive_stddev=adaptive)
    network = build_actor_critic(plan_of(), cfg, OBS, spaces.Box(-1, 1, (2,)))
    head = network.action_parameterization.distribution_linear
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            gain = 0.01 if layer is head else 0.5
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(gain, abs=1e-5)


def test_torch_default_keeps_biases(cfg_of, plan_of):
    network = build_actor_critic(plan_of(), cfg_of(policy_initialization="torch_default"), OBS, ACTIONS)
    assert all((layer.bias != 0).any() for layer in network.modules() if isinstance(layer, nn.Linear))


def test_a_fixed_stddev_does_not_depend_on_the_observation(cfg_of, plan_of):
    space = spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.Discrete(3), spaces.Box(-1, 1, (1,))])
    cfg = cfg_of(adaptive_stddev=False, initial_stddev=0.25, policy_init_gain=5.0)
    network = build_actor_critic(plan_of(), cfg, OBS, space)
    logits = network({"obs": torch.randn(4, 3)}, torch.zeros(4, 1))["action_logits"]
    # layout: 2 means, 2 log-stddevs, 3 logits, 1 mean, 1 log-stddev
    log_stddev = logits[:, [2, 3, 8]]
    torch.testing.assert_close(log_stddev, torch.full((4, 3), np.log(0.25), dtype=torch.float32))
    assert (logits[:, [0, 1, 4, 5, 6, 7]].std(0) > 1e-3).all()
    assert network.action_parameterization.learned_stddev.shape == (3,)


def test_the_tanh_scale_limits_means_and_nothing_else(cfg_of, plan_of):
    space = spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.Discrete(3)])
    limited, free = (
        build_actor_critic(plan_of(), cfg_of(adaptive_stddev=False, continuous_tanh_scale=scale), OBS, space)
        for scale in (0.5, 0.0)
    )
    free.load_state_dict(limited.state_dict())
    x = ({"obs": torch.randn(4, 3) * 3}, torch.zeros(4, 1))
    raw, squashed = free(*x)["action_logits"], limited(*x)["action_logits"]
    torch.testing.assert_close(squashed[:, :2], torch.tanh(raw[:, :2] / 0.5) * 0.5)
    torch.testing.assert_close(squashed[:, 2:], raw[:, 2:])


def test_discrete_actions_have_the_same_head_with_and_without_adaptive_stddev(cfg_of, plan_of):
    for adaptive in (True, False):
        network = build_actor_critic(plan_of(), cfg_of(adaptive_stddev=adaptive), OBS, spaces.Discrete(3))
        assert type(network.action_parameterization).__name__ == "ActionParameterization"


# ---- custom components -----------------------------------------------------------------------------------------------


class MyEncoder(Encoder):
    def __init__(self, cfg, obs_space):
        super().__init__(cfg)
        assert list(obs_space.spaces) == ["obs"]
        self.layer = nn.Linear(3, 4)

    def get_out_size(self):
        return 4

    def forward(self, obs_dict):
        return self.layer(obs_dict["obs"])


class MyCore(ModelCore):
    def __init__(self, cfg, input_size):
        super().__init__(cfg)
        self.core_output_size = 6
        self.cell = nn.GRUCell(input_size, 6)

    def forward(self, head_output, rnn_states):
        state = self.cell(head_output, rnn_states)
        return state, state


class WholeActorCritic(ActorCritic):
    """As in Sample Factory's template: `forward` alone."""

    def __init__(self, model_factory, obs_space, action_space, cfg):
        super().__init__(obs_space, action_space, cfg)
        self.encoder = MyEncoder(cfg, obs_space)
        self.core = MyCore(cfg, self.encoder.get_out_size())
        self.critic_linear = nn.Linear(6, 1)
        self.action_parameterization = self.get_action_parameterization(6)

    def forward(self, normalized_obs_dict, rnn_states, values_only=False):
        x, new_rnn_states = self.core(self.encoder(normalized_obs_dict), rnn_states)
        result = {"values": self.critic_linear(x), "new_rnn_states": new_rnn_states}  # [N, 1], as a template may
        if not values_only:
            result["action_logits"], self.last_action_distribution = self.action_parameterization(x)
            self._maybe_sample_actions(True, result)
        return result


class OverridesForward(ActorCriticSharedWeights):
    def forward(self, normalized_obs_dict, rnn_states, values_only=False, action_mask=None):
        result = super().forward(normalized_obs_dict, rnn_states, values_only, action_mask)
        result["values"] = result["values"] + 1
        return result


class OverridesTail(ActorCriticSharedWeights):
    def forward_tail(self, core_output, values_only, sample_actions):
        return super().forward_tail(core_output, values_only, sample_actions)


def three_positional(config, observations, actions):
    return WholeActorCritic(None, observations, actions, config)


def by_name(action_space, cfg, obs_space):
    return WholeActorCritic(None, obs_space, action_space, cfg)


def with_keywords(*, cfg, obs_space, action_space, model_factory):
    return ActorCriticSharedWeights(model_factory, obs_space, action_space, cfg)


@pytest.mark.parametrize("factory", [WholeActorCritic, three_positional, by_name, with_keywords, OverridesForward])
def test_actor_critic_factories_are_called_by_parameter_name(cfg_of, plan_of, factory):
    network = build_actor_critic(plan_of(actor_critic=factory), cfg_of(use_rnn=True), OBS, ACTIONS)
    assert network(({"obs": torch.zeros(2, 3)}), torch.zeros(2, 6))["action_logits"].shape == (2, 7)


def test_custom_parts_are_used(cfg_of, plan_of):
    network = build_actor_critic(plan_of(encoder=MyEncoder, core=MyCore), cfg_of(use_rnn=True), OBS, ACTIONS)
    assert isinstance(network.encoder, MyEncoder)
    assert isinstance(network.core, MyCore)
    assert network.state_size == 6  # from --rnn_size, as the core does not say


def test_forward_counts_where_it_was_redefined_last(cfg_of, plan_of):
    def network(factory):
        return build_actor_critic(plan_of(actor_critic=factory), cfg_of(use_rnn=True), OBS, ACTIONS)

    assert has_forward_parts(network(ActorCriticSharedWeights))
    assert has_forward_parts(network(OverridesTail))
    assert not has_forward_parts(network(WholeActorCritic))
    assert not has_forward_parts(network(OverridesForward))


def broken(cfg, obs_space):
    raise ZeroDivisionError("boom")


def sizeless(cfg, obs_space):
    return Encoder(cfg)


def test_a_failing_component_is_named_with_its_plugin(cfg_of, plan_of):
    with pytest.raises(ModelError, match=r"encoder 'encoder' \(plugin test\) failed: ZeroDivisionError: boom"):
        build_actor_critic(plan_of(encoder=broken), cfg_of(), OBS, ACTIONS)


def test_an_encoder_without_a_size_is_refused(cfg_of, plan_of):
    with pytest.raises(UsageError, match="does not say how large its output is"):
        build_actor_critic(plan_of(encoder=sizeless), cfg_of(), OBS, ACTIONS)


def test_what_is_no_actor_critic_is_refused(cfg_of, plan_of):
    with pytest.raises(UsageError, match="must be a subclass of"):
        build_actor_critic(plan_of(actor_critic=lambda cfg: nn.Linear(1, 1)), cfg_of(), OBS, ACTIONS)


def test_the_network_is_built_without_the_action_mask(cfg_of, plan_of):
    space = spaces.Dict({"obs": OBS, "action_mask": spaces.MultiBinary(3)})
    network = build_actor_critic(plan_of(encoder=MyEncoder), cfg_of(), space, ACTIONS)
    assert list(network.obs_space.spaces) == ["obs"]
    with pytest.raises(UsageError, match="nothing but an action mask"):
        build_actor_critic(plan_of(), cfg_of(), spaces.Dict({"action_mask": spaces.MultiBinary(3)}), ACTIONS)
