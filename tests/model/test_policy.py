import copy
from contextlib import contextmanager

import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium import spaces
from torch import nn

from sf_core.envs.spaces import action_parts, observation_spaces
from sf_core.model.action_mask import ActionMaskReader
from sf_core.model.actor_critic import ActorCritic, ActorCriticSharedWeights
from sf_core.model.device import choose_device
from sf_core.model.encoder import Encoder
from sf_core.model.policy_store import PolicyStore, weight_table
from sf_core.model.weight_table import WeightArrays
from sf_core.utils.errors import UsageError

VECTOR = spaces.Box(-1, 1, (3,))
DISCRETE = spaces.Discrete(4, start=2)
NESTED = spaces.Dict(
    {
        "pair": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
        "camera": spaces.Box(0, 255, (40, 40, 3), np.uint8),
    }
)


def test_values_are_in_reward_units_when_acting_and_in_head_units_when_evaluating(policy_of):
    policy = policy_of(VECTOR, DISCRETE)
    policy.actor_critic.returns_normalizer.mean.fill_(100.0)
    policy.actor_critic.returns_normalizer.var.fill_(4.0)
    x, state = {"obs": torch.randn(5, 3)}, torch.zeros(5, policy.rnn_size)
    output = policy.act_batch(x, state)
    torch.testing.assert_close(policy.value_batch(x, state), output.value)
    evaluation = policy.evaluate(
        {key: v[:, None] for key, v in policy.normalize(x).items()},
        state,
        torch.zeros(5, 1, dtype=torch.bool),
        {part: v[:, None] for part, v in output.action.items()},
    )
    torch.testing.assert_close(output.value, evaluation.value[:, 0].detach() * 4.00001**0.5 + 100)


def test_without_return_normalisation_both_units_are_the_same(policy_of):
    policy = policy_of(VECTOR, DISCRETE, normalize_returns=False)
    assert policy.actor_critic.returns_normalizer is None
    x, state = {"obs": torch.randn(5, 3)}, torch.zeros(5, 1)
    raw = policy.actor_critic(policy.normalize(x), state, values_only=True)["values"]
    torch.testing.assert_close(policy.act_batch(x, state).value, raw.detach())


def test_deterministic_actions_are_the_most_probable_ones(policy_of):
    policy = policy_of(VECTOR, DISCRETE, policy_init_gain=3.0)
    x = {"obs": torch.randn(50, 3)}
    first = policy.act_batch(x, torch.zeros(50, 1), deterministic=True)
    assert torch.equal(first.action["action"], first.action_logits.argmax(-1))
    assert torch.equal(policy.act_batch(x, torch.zeros(50, 1), True).action["action"], first.action["action"])


def test_the_generator_decides_what_is_sampled(policy_of):
    policy = policy_of(VECTOR, DISCRETE)
    x, state = {"obs": torch.randn(50, 3)}, torch.zeros(50, 1)
    first, second, third = (
        policy.act_batch(x, state, generator=torch.Generator().manual_seed(seed)).action["action"] for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_acting_leaves_no_graph_and_evaluating_has_gradients(policy_of):
    policy = policy_of(VECTOR, DISCRETE, use_rnn=True)
    x, state = {"obs": torch.randn(2, 4, 3)}, torch.zeros(2, 6)
    assert not policy.act_batch({"obs": x["obs"][:, 0]}, state).value.requires_grad
    evaluation = policy.evaluate(
        policy.normalize(x), state, torch.zeros(2, 4, dtype=torch.bool), {"action": torch.zeros(2, 4, dtype=torch.long)}
    )
    assert evaluation.log_prob.shape == evaluation.value.shape == (2, 4)
    assert evaluation.distribution.entropy().shape == (8,)
    (evaluation.log_prob.sum() + evaluation.value.sum() + evaluation.distribution.entropy().sum()).backward()
    assert all(p.grad is not None for p in policy.actor_critic.parameters())
    copy.deepcopy(policy.actor_critic)  # nothing of the graph is left on the network


# ---- one observation, numpy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action_space", [DISCRETE, spaces.Tuple([spaces.MultiBinary(2), spaces.Box(0, 1, (2,))])])
@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_act_takes_and_gives_what_the_env_does(policy_of, action_space, rnn_type):
    policy = policy_of(NESTED, action_space, use_rnn=True, rnn_type=rnn_type)
    action, state = policy.act(NESTED.sample())
    assert action_space.contains(action)
    assert state.shape == (policy.rnn_size,)
    action, second = policy.act(NESTED.sample(), state)
    assert action_space.contains(action)
    assert (second != state).any()


def test_act_on_a_batch_equals_one_by_one(policy_of):
    policy = policy_of(NESTED, DISCRETE, use_rnn=True, policy_init_gain=2.0)
    NESTED.seed(0)
    observations = [NESTED.sample() for _ in range(3)]
    batch = {
        "camera": np.stack([o["camera"] for o in observations]),
        "pair": tuple(np.stack([o["pair"][i] for o in observations]) for i in range(2)),
    }
    actions, states = policy.act(batch, deterministic=True)
    actions, states = policy.act(batch, states, deterministic=True)
    assert actions.shape == (3,)
    for row, observation in enumerate(observations):
        action, state = policy.act(observation, deterministic=True)
        action, state = policy.act(observation, state, deterministic=True)
        assert action == actions[row]
        np.testing.assert_allclose(state, states[row], atol=1e-3)  # float32, other shapes of matrices


def test_a_policy_of_flat_spaces_takes_observations_in_any_nesting(policy_of):
    policy = policy_of(spaces.Dict(list(observation_spaces(NESTED).items())), DISCRETE)
    nested = NESTED.sample()
    flat = {"camera": nested["camera"], "pair/0": nested["pair"][0], "pair/1": nested["pair"][1]}
    assert policy.act(nested, deterministic=True)[0] == policy.act(flat, deterministic=True)[0]
    policy = policy_of(spaces.Dict({"obs": VECTOR}), DISCRETE)
    x = VECTOR.sample()
    assert policy.act(x, deterministic=True)[0] == policy.act({"obs": x}, deterministic=True)[0]


def test_act_refuses_observations_of_another_space(policy_of):
    policy = policy_of(NESTED, DISCRETE)
    with pytest.raises(UsageError, match="the policy was trained with camera, pair/0, pair/1"):
        policy.act({"camera": np.zeros((40, 40, 3), np.uint8)})
    with pytest.raises(UsageError, match="shapes"):
        policy_of(VECTOR, DISCRETE).act(np.zeros((2, 2, 3)))


# ---- masks -----------------------------------------------------------------------------------------------------------

MASKED = spaces.Dict({"obs": VECTOR, "action_mask": spaces.MultiBinary(4)})


def test_forbidden_actions_are_never_taken(policy_of):
    policy = policy_of(MASKED, DISCRETE)
    mask = torch.tensor([[0, 1, 0, 1]], dtype=torch.int8).expand(200, -1)
    observation = {"obs": torch.randn(200, 3), "action_mask": mask}
    for deterministic in (False, True):
        action = policy.act_batch(observation, torch.zeros(200, 1), deterministic).action["action"]
        assert set(action.tolist()) <= {1, 3}
    assert {policy.act({"obs": VECTOR.sample(), "action_mask": [1, 0, 0, 0]})[0] for _ in range(20)} == {2}


def test_act_refuses_a_mask_that_forbids_everything_to_somebody_who_acts(policy_of):
    policy = policy_of(MASKED, DISCRETE)
    with pytest.raises(UsageError, match="the observation 'action_mask' with no legal choice for row 0"):
        policy.act({"obs": VECTOR.sample(), "action_mask": [0, 0, 0, 0]})
    batch = {"obs": np.zeros((2, 3), np.float32), "action_mask": [[0, 0, 0, 0], [0, 0, 0, 1]]}
    with pytest.raises(UsageError, match="no legal choice for row 0"):
        policy.act(batch)
    assert policy.act(batch, active=np.array([False, True]))[0][1] == 5


def test_act_keeps_the_state_of_agents_that_sit_out(policy_of):
    policy = policy_of(VECTOR, DISCRETE, use_rnn=True)
    _, states = policy.act(np.ones((2, 3), np.float32))
    _, later = policy.act(np.ones((2, 3), np.float32), states, active=np.array([True, False]))
    assert (later[0] != states[0]).all()
    assert (later[1] == states[1]).all()


def test_masks_may_come_as_one_array_or_as_one_per_part():
    parts = action_parts(
        spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(0, 1), "c": spaces.MultiDiscrete([2, 2])})
    )
    whole = ActionMaskReader({"action_mask": spaces.MultiBinary(6)}, parts)
    mask = torch.tensor([[1, 0, 1, 1, 0, 1]])
    assert torch.equal(whole.read({"action_mask": mask}), mask)
    pieces = ActionMaskReader({"action_mask/c": spaces.MultiBinary(4), "action_mask/a": spaces.MultiBinary(2)}, parts)
    read = pieces.read({"action_mask/a": mask[:, :2], "action_mask/c": mask[:, 2:]})
    assert read.tolist() == mask.bool().tolist()
    only_a = ActionMaskReader({"action_mask/a": spaces.MultiBinary(2)}, parts)
    assert only_a.read({"action_mask/a": mask[:, :2]}).tolist() == [[True, False, True, True, True, True]]
    assert ActionMaskReader({"obs": VECTOR}, parts).read({}) is None


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        ({"action_mask": spaces.MultiBinary(5)}, r"shape \(5,\), but there are 4 choices"),
        ({"action_mask/other": spaces.MultiBinary(4)}, "masks no discrete part"),
    ],
)
def test_masks_that_do_not_fit_the_actions_are_refused(leaves, message):
    with pytest.raises(UsageError, match=message):
        ActionMaskReader(leaves, action_parts(DISCRETE))


class WithoutMask(ActorCriticSharedWeights):
    def forward_tail(self, core_output, values_only, sample_actions):
        return super().forward_tail(core_output, values_only, sample_actions)


class Whole(ActorCritic):
    """`forward` alone, with a mask, and a habit of its own: it always takes the last legal action."""

    def __init__(self, model_factory, obs_space, action_space, cfg):
        super().__init__(obs_space, action_space, cfg)
        self.layer = nn.Linear(3, 6)
        self.cell = nn.GRUCell(6, 6)
        self.head = self.get_action_parameterization(6)
        self.critic = nn.Linear(6, 1)

    def forward(self, normalized_obs_dict, rnn_states, values_only=False, action_mask=None):
        state = self.cell(self.layer(normalized_obs_dict["obs"]), rnn_states)
        result = {"values": self.critic(state), "new_rnn_states": state}
        if not values_only:
            logits, _ = self.head(state, action_mask)
            actions = torch.arange(4).expand(len(logits), -1)
            if action_mask is not None:
                actions = actions * action_mask
            actions = actions.max(-1).values
            log_prob = torch.zeros(len(logits))
            result |= {"action_logits": logits, "actions": actions, "log_prob_actions": log_prob}
        return result


def test_a_network_that_takes_no_mask_is_refused_only_where_there_is_one(policy_of):
    policy_of(VECTOR, DISCRETE, {"actor_critic": WithoutMask}).act(VECTOR.sample())
    with pytest.raises(UsageError, match="forward_tail does not accept one"):
        policy_of(MASKED, DISCRETE, {"actor_critic": WithoutMask})


def test_a_network_with_forward_alone_may_choose_actions_itself(policy_of):
    policy = policy_of(MASKED, DISCRETE, {"actor_critic": Whole}, use_rnn=True)
    observation = {"obs": torch.randn(2, 3), "action_mask": torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])}
    output = policy.act_batch(observation, torch.zeros(2, 6))
    assert output.action["action"].tolist() == [2, 0]
    assert output.log_prob.tolist() == [0, 0]
    assert output.value.shape == (2,)
    assert policy.value_batch(observation, torch.zeros(2, 6)).shape == (2,)


class Samples(Whole):
    """As in Sample Factory's template: `forward` samples by itself."""

    def forward(self, normalized_obs_dict, rnn_states, values_only=False, action_mask=None):
        state = self.cell(self.layer(normalized_obs_dict["obs"]), rnn_states)
        result = {"values": self.critic(state), "new_rnn_states": state}
        if not values_only:
            result["action_logits"], self.last_action_distribution = self.head(state, action_mask)
            self._maybe_sample_actions(True, result)
        return result


def test_the_generator_decides_what_a_network_with_forward_alone_samples(policy_of):
    policy = policy_of(VECTOR, DISCRETE, {"actor_critic": Samples}, use_rnn=True)
    observation, state = {"obs": torch.randn(64, 3)}, torch.zeros(64, 6)

    def chosen(seed):
        return policy.act_batch(observation, state, generator=torch.Generator().manual_seed(seed)).action["action"]

    first = chosen(1)
    torch.rand(1)  # the global generator moves on
    assert torch.equal(chosen(1), first)
    assert not torch.equal(chosen(2), first)
    before = torch.get_rng_state()
    chosen(3)
    assert torch.equal(torch.get_rng_state(), before)


class Wrong(Whole):
    """Returns what `wrong` makes of what it should."""

    wrong = staticmethod(lambda result: result)

    def forward(self, *args, **kwargs):
        return self.wrong(super().forward(*args, **kwargs))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda r: {k: r[k] for k in r if k != "values"}, "Wrong returned .* and no values; return values too"),
        (
            lambda r: {**r, "action_logits": r["action_logits"][:, :3]},
            "3 action logits for an action space that has 4 parameters; make them with get_action_parameterization",
        ),
        (
            lambda r: {**r, "new_rnn_states": r["new_rnn_states"][:, :5]},
            r"a recurrent state of shape \(2, 5\) where \(2, 6\) entered; give its core, or itself, a property",
        ),
        (lambda r: {**r, "new_rnn_states": r["new_rnn_states"].unsqueeze(0)}, r"of shape \(1, 2, 6\)"),
        (lambda r: {**r, "new_rnn_states": (r["new_rnn_states"],)}, "a recurrent state of type tuple"),
    ],
)
def test_what_a_network_returns_in_the_wrong_shape_is_refused_at_the_first_step(policy_of, wrong, message):
    policy = policy_of(VECTOR, DISCRETE, {"actor_critic": type("Wrong", (Wrong,), {"wrong": staticmethod(wrong)})})
    with pytest.raises(UsageError, match=message):
        policy.act_batch({"obs": torch.randn(2, 3)}, torch.zeros(2, 6))


WORDS = spaces.Dict(
    {"obs": VECTOR, "words": spaces.Box(0, 2**40, (2,), np.int64), "action_mask": MASKED["action_mask"]}
)


class WordEncoder(Encoder):
    """Wants the numbers of words as they are: 2**40 + 1 is no float32."""

    def __init__(self, cfg, obs_space):
        super().__init__(cfg)
        self.layer = nn.Linear(3, 4)
        self.encoder_out_size = 4

    def type_for_input_tensor(self, input_tensor_name):
        return torch.int64 if input_tensor_name == "words" else torch.float32

    def forward(self, obs_dict):
        assert (obs_dict["words"] == 2**40 + 1).all()
        return self.layer(obs_dict["obs"])


@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_may_ask_for_the_type_of_an_input(policy_of, shared):
    policy = policy_of(WORDS, DISCRETE, {"encoder": WordEncoder}, actor_critic_share_weights=shared)
    mask = np.array([0, 1, 0, 0], np.int8)
    words = np.full(2, 2**40 + 1)
    assert policy.act({"obs": VECTOR.sample(), "words": words, "action_mask": mask})[0] == 3


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_equal_weights_are_equal_bytes_whatever_their_memory_order(policy_of):
    image = spaces.Box(0, 255, (4, 36, 36), np.uint8)
    one, other = (policy_of(image, DISCRETE) for _ in range(2))
    other.load_weights(one.weights())
    for parameter in other.actor_critic.parameters():
        parameter.data = parameter.data.contiguous()
    assert safetensors.torch.save(one.weights()) == safetensors.torch.save(other.weights())
    other.actor_critic.critic_linear.bias.data += 1
    assert safetensors.torch.save(one.weights()) != safetensors.torch.save(other.weights())


def test_weights_are_copies(policy_of):
    policy = policy_of(VECTOR, DISCRETE)
    weights = policy.weights()
    policy.actor_critic.critic_linear.bias.data += 1
    assert (weights["critic_linear.bias"] == 0).all()


def test_weights_of_another_network_are_refused(policy_of):
    with pytest.raises(UsageError, match=r"do not fit this network.*size mismatch"):
        policy_of(VECTOR, DISCRETE).load_weights(policy_of(spaces.Box(-1, 1, (4,)), DISCRETE).weights())


def test_the_store_brings_policies_up_to_date(policy_of):
    learner, sampler = policy_of(VECTOR, DISCRETE), policy_of(VECTOR, DISCRETE)
    sampler.policy_version = -1  # as in a process that has fetched nothing yet
    weights = WeightArrays(weight_table(learner), lambda path, shape, dtype: np.zeros(shape, dtype))
    asked = []

    @contextmanager
    def lock(*, exclusive):
        asked.append(exclusive)
        yield

    store = PolicyStore(weights, lock)
    assert store.policy_version == -1
    assert not store.fetch_if_newer(sampler)
    learner.actor_critic.critic_linear.bias.data += 1
    learner.actor_critic.obs_normalizer.update({"obs": torch.randn(10, 3)})
    learner.policy_version = 7
    store.publish(learner)
    assert (store.policy_version, sampler.policy_version) == (7, -1)
    assert not store.fetch_if_newer(learner)
    assert store.fetch_if_newer(sampler)
    assert sampler.policy_version == 7
    for name, weight in learner.weights().items():
        assert torch.equal(weight, sampler.weights()[name])
    assert not store.fetch_if_newer(sampler)
    assert asked == [True, False]  # written alone, read beside others, looked at without


def test_devices_are_chosen_by_name():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UsageError, match="--device=tpu"):
        choose_device("tpu")
    with pytest.raises(UsageError, match="CUDA devices"):
        choose_device("cuda:99")
