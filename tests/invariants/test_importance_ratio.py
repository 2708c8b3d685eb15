"""The importance ratio is one before the first optimizer step.

Acting, one step at a time with a running state, and evaluating whole segments afterwards must give the same
log-probabilities, for every action space, with masks, with recurrence, with episodes that start inside a segment, and
with statistics that are not the identity, and with steps that an agent sat out.
"""

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from sf_core.envs.spaces import action_parts
from sf_core.model.action_distribution import ActionLayout
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.attention import ModelCoreAttention
from sf_core.model.core import ModelCore
from sf_core.model.factory import build_actor_critic
from sf_core.model.policy import Policy
from sf_core.plugins.plan import ComponentRef, ModelPlan
from sf_core.utils.attr_dict import AttrDict

NUM_ROWS, ROLLOUT, RECURRENCE = 6, 12, 4

ACTION_SPACES = {
    "discrete": spaces.Discrete(5, start=1),
    "box": spaces.Box(-1, 1, (3,)),
    "multi_discrete": spaces.MultiDiscrete([2, 4, 3]),
    "multi_binary": spaces.MultiBinary([2, 2]),
    "hybrid": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
    "nested": spaces.Dict(
        {"a": spaces.Tuple([spaces.MultiDiscrete([2, 3]), spaces.Box(0, 1, (2, 2))]), "b": spaces.Discrete(4)}
    ),
}
CFG = {
    "encoder_mlp_layers": [16],
    "encoder_conv_architecture": "convnet_simple",
    "encoder_conv_mlp_layers": [16],
    "use_rnn": False,
    "rnn_size": 8,
    "rnn_type": "gru",
    "rnn_num_layers": 2,
    "decoder_mlp_layers": [12],
    "nonlinearity": "elu",
    "policy_initialization": "orthogonal",
    "policy_init_gain": 2.0,
    "policy_head_init_gain": None,
    "actor_critic_share_weights": True,
    "adaptive_stddev": True,
    "continuous_tanh_scale": 0.0,
    "initial_stddev": 0.5,
    "obs_subtract_mean": 0.5,
    "obs_scale": 2.0,
    "normalize_input": True,
    "normalize_input_keys": None,
    "normalize_returns": True,
    "attention_window": 5,
    "attention_size": 8,
    "attention_heads": 2,
    "attention_layers": 2,
}


def make_policy(action_space, masked=False, image=False, factories=None, **changes):
    leaves = {"obs": spaces.Box(-9, 9, (4,)), "goal": spaces.Discrete(3), "clock": spaces.Box(0, 9, (), np.float64)}
    if image:
        leaves["obs"] = spaces.Box(0, 255, (3, 36, 36), np.uint8)
    if masked:
        leaves["action_mask"] = spaces.MultiBinary(ActionLayout(action_parts(action_space)).num_choices)
    obs_space = spaces.Dict(leaves)
    parts = {
        "actor_critic": "sf_core.model.actor_critic:make_actor_critic",
        "encoder": "sf_core.model.encoder:make_encoder",
        "core": "sf_core.model.core:make_core",
        "decoder": "sf_core.model.decoder:make_decoder",
    }
    plan = ModelPlan(**{kind: ComponentRef(kind, "test", f) for kind, f in {**parts, **(factories or {})}.items()})
    torch.manual_seed(3)
    network = build_actor_critic(plan, AttrDict({**CFG, **changes}), obs_space, action_space)
    policy = Policy(network, action_space, obs_space)
    # statistics as after some training
    rows = random_observation(policy, (50,), np.random.default_rng(8))
    network.obs_normalizer.update(rows)
    network.returns_normalizer.update(torch.randn(40) * 30 + 7)
    return policy


def random_observation(policy, shape, rng):
    """Raw observations `{key: [*shape, *space]}`; some masks allow nothing, as after an episode's end."""
    observation = {}
    for key, leaf in policy.observation_space.spaces.items():
        if isinstance(leaf, spaces.Discrete):
            values = rng.integers(0, 3, shape)
        elif isinstance(leaf, spaces.MultiBinary):
            values = rng.random((*shape, *leaf.shape)) < 0.5
            values[rng.random(shape) < 0.05] = False
        elif leaf.dtype == np.uint8:
            values = rng.integers(0, 255, (*shape, *leaf.shape))
        else:
            values = rng.normal(2, 3, (*shape, *leaf.shape))
        observation[key] = torch.from_numpy(np.asarray(values, dtype=leaf.dtype))
    return observation


def collect(policy, observation, episode_start, inactive):
    """Act step by step as the sampler does: running state, zero where an episode starts, stored at segment starts,
    kept where an agent sits out.
    """
    generator = torch.Generator().manual_seed(1)
    state = torch.zeros(NUM_ROWS, policy.rnn_size)
    outputs, states = [], []
    for t in range(ROLLOUT):
        state = torch.where(episode_start[:, t, None], torch.zeros_like(state), state)
        if t % RECURRENCE == 0:
            states.append(state)
        output = policy.act_batch({key: x[:, t] for key, x in observation.items()}, state, generator=generator)
        outputs.append(output)
        state = torch.where(inactive[:, t, None], state, output.rnn_state)
    return outputs, torch.stack(states, dim=1)  # [B, T / L, H]


def segments(x):
    return x.reshape(-1, RECURRENCE, *x.shape[2:])


def check(policy, sits_out=0.0):
    rng = np.random.default_rng(5)
    observation = random_observation(policy, (NUM_ROWS, ROLLOUT), rng)
    episode_start = torch.from_numpy(rng.random((NUM_ROWS, ROLLOUT)) < 0.2)
    episode_start[:, 0] = torch.tensor([True, False] * 3)
    inactive = torch.from_numpy(rng.random((NUM_ROWS, ROLLOUT)) < sits_out)
    acts = segments(~inactive)
    outputs, states = collect(policy, observation, episode_start, inactive)
    action = {name: torch.stack([output.action[name] for output in outputs], dim=1) for name in outputs[0].action}
    behaviour = torch.stack([output.log_prob for output in outputs], dim=1)
    value = torch.stack([output.value for output in outputs], dim=1)

    evaluation = policy.evaluate(
        {key: segments(x) for key, x in policy.normalize(observation).items()},
        states.flatten(0, 1),
        segments(episode_start),
        {name: segments(x) for name, x in action.items()},
        segments(inactive) if sits_out else None,
    )
    ratio = (evaluation.log_prob - segments(behaviour)).exp()[acts]
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-5, rtol=0)
    in_reward_units = policy.actor_critic.returns_normalizer.denormalize(evaluation.value.detach())
    torch.testing.assert_close(in_reward_units[acts], segments(value)[acts], atol=1e-3, rtol=1e-5)
    # the stored logits describe the same distribution: no divergence from the behaviour policy
    logits = segments(torch.stack([output.action_logits for output in outputs], dim=1)).flatten(0, 1)
    acted = acts.flatten()
    torch.testing.assert_close(evaluation.distribution.logits[acted], logits[acted], atol=1e-4, rtol=1e-4)
    return behaviour


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


CORES = {"none": {"use_rnn": False}, "gru": {"use_rnn": True}, "lstm": {"use_rnn": True, "rnn_type": "lstm"}}


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "separate"])
@pytest.mark.parametrize("core", sorted(CORES))
@pytest.mark.parametrize("name", sorted(ACTION_SPACES))
def test_the_ratio_is_one_for_every_action_space_core_and_arrangement_of_weights(name, core, shared):
    check(make_policy(ACTION_SPACES[name], actor_critic_share_weights=shared, **CORES[core]))


@pytest.mark.parametrize("core", sorted(CORES))
@pytest.mark.parametrize("name", sorted(set(ACTION_SPACES) - {"box"}))
def test_the_ratio_is_one_with_action_masks(name, core):
    policy = make_policy(ACTION_SPACES[name], masked=True, **CORES[core])
    masked = check(policy)
    unmasked = check(make_policy(ACTION_SPACES[name], masked=False, **CORES[core]))
    assert (masked.mean() > unmasked.mean()).item()  # fewer choices, higher probability: the mask did something


@pytest.mark.parametrize(("core", "tanh_scale"), list(itertools.product(sorted(CORES), [0.0, 1.5])))
def test_the_ratio_is_one_with_a_stddev_that_is_learned_apart(core, tanh_scale):
    check(make_policy(ACTION_SPACES["nested"], adaptive_stddev=False, continuous_tanh_scale=tanh_scale, **CORES[core]))


@pytest.mark.parametrize("shared", [True, False])
def test_the_ratio_is_one_for_images(shared):
    check(make_policy(ACTION_SPACES["discrete"], image=True, actor_critic_share_weights=shared, **CORES["gru"]))


class SteppedCore(ModelCore):
    """A custom core that can only be stepped."""

    def __init__(self, cfg, input_size):
        super().__init__(cfg)
        self.core_output_size = 8
        self.cell = nn.GRUCell(input_size, 8)

    @property
    def state_size(self):
        return 8

    def forward(self, x, state):
        state = self.cell(x, state)
        return state, state


class ForwardAlone(ActorCritic):
    """A custom actor-critic that defines nothing but `forward`."""

    def __init__(self, model_factory, obs_space, action_space, cfg):
        super().__init__(obs_space, action_space, cfg)
        self.encoder = model_factory.make_model_encoder_func(cfg, obs_space)
        self.core = SteppedCore(cfg, self.encoder.get_out_size())
        self.critic_linear = nn.Linear(8, 1)
        self.head = self.get_action_parameterization(8)

    def forward(self, normalized_obs_dict, rnn_states, values_only=False, action_mask=None):
        x, new_rnn_states = self.core(self.encoder(normalized_obs_dict), rnn_states)
        result = {"values": self.critic_linear(x), "new_rnn_states": new_rnn_states}
        if not values_only:
            result["action_logits"], self.last_action_distribution = self.head(x, action_mask)
            self._maybe_sample_actions(True, result)
        return result


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("factories", [{"core": SteppedCore}, {"actor_critic": ForwardAlone}], ids=["core", "whole"])
def test_the_ratio_is_one_for_custom_components_that_are_stepped(factories, masked):
    check(make_policy(ACTION_SPACES["nested"], masked=masked, factories=factories, use_rnn=True))


SITTING_OUT = {
    "gru": CORES["gru"],
    "separate lstm": {**CORES["lstm"], "actor_critic_share_weights": False},
    "attention": {"use_rnn": True, "factories": {"core": ModelCoreAttention}, "policy_init_gain": 1.0},
    "stepped core": {"use_rnn": True, "factories": {"core": SteppedCore}},
    "forward alone": {"use_rnn": True, "factories": {"actor_critic": ForwardAlone}},
}


@pytest.mark.parametrize("kind", SITTING_OUT)
def test_the_ratio_is_one_where_agents_sit_steps_out(kind):
    check(make_policy(ACTION_SPACES["nested"], masked=True, **SITTING_OUT[kind]), sits_out=0.3)


@pytest.mark.parametrize("name", ["nested", "box"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_ratio_is_one_with_attention(name, shared):
    # large gains make a softmax sharp, and the rounding of its inputs large
    check(
        make_policy(
            ACTION_SPACES[name],
            factories={"core": ModelCoreAttention},
            use_rnn=True,
            actor_critic_share_weights=shared,
            policy_init_gain=1.0,
        )
    )
