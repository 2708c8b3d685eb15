"""bf16 and compiled networks say what the plain ones say, up to their digits, and keep their weights and names."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import sf_core.model.forward as forward_module
from sf_core.model.actor_critic import ActorCriticSharedWeights
from sf_core.model.forward import ForwardOptions
from sf_core.model.policy import Policy
from sf_core.utils.errors import UsageError

VECTOR = spaces.Dict({"obs": spaces.Box(-5, 5, (6,), np.float32)})
IMAGE = spaces.Dict({"obs": spaces.Box(0, 255, (3, 40, 40), np.uint8), "speed": spaces.Box(-1, 1, (2,), np.float32)})
ACTIONS = spaces.Tuple((spaces.Discrete(4), spaces.Box(-1, 1, (2,), np.float32)))
ROWS, LENGTH = 6, 4

KINDS = {
    "vector": (VECTOR, {}),
    "image": (IMAGE, {}),
    "gru": (VECTOR, {"use_rnn": True}),
    "lstm": (VECTOR, {"use_rnn": True, "rnn_type": "lstm", "rnn_num_layers": 2}),
    "separate": (VECTOR, {"actor_critic_share_weights": False, "use_rnn": True}),
}


def pair(policy_of, kind, options):
    """A plain policy, and one with the same weights that is run otherwise."""
    space, changes = KINDS[kind]
    plain = policy_of(space, ACTIONS, **changes)
    other = policy_of(space, ACTIONS, **changes)
    other = Policy(other.actor_critic, ACTIONS, space, forward_options=options)
    other.load_weights(plain.weights())
    return plain, other


def observations(space, *leading):
    rng = np.random.default_rng(0)
    return {
        key: torch.as_tensor(
            rng.uniform(leaf.low.flat[0], leaf.high.flat[0], (*leading, *leaf.shape)).astype(leaf.dtype)
        )
        for key, leaf in space.spaces.items()
    }


def act_and_evaluate(policy, space):
    """What acting gives, what evaluating the same actions gives, and the gradient of a loss on it."""
    state = torch.full((ROWS, policy.rnn_size), 0.1)
    output = policy.act_batch(observations(space, ROWS), state, generator=torch.Generator().manual_seed(1))
    value = policy.value_batch(observations(space, ROWS), state)
    start = torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    start[1, 2] = start[4, 1] = True
    action = {name: x[:, None].expand(ROWS, LENGTH, *x.shape[1:]) for name, x in output.action.items()}
    evaluation = policy.evaluate(policy.normalize(observations(space, ROWS, LENGTH)), state, start, action)
    policy.actor_critic.zero_grad()
    (evaluation.log_prob.mean() + evaluation.value.square().mean()).backward()
    gradient = torch.cat([p.grad.flatten() for p in policy.actor_critic.parameters() if p.grad is not None])
    return output, value, evaluation, gradient


def check_close(policies, space, tolerance, cosine):
    (one, value, evaluation, gradient), (other, other_value, other_evaluation, other_gradient) = (
        act_and_evaluate(policy, space) for policy in policies
    )
    pairs = [
        (one.action_logits, other.action_logits),
        (one.value, other.value),
        (one.rnn_state, other.rnn_state),
        (value, other_value),
        (evaluation.value, other_evaluation.value),
        (evaluation.distribution.logits, other_evaluation.distribution.logits),
    ]
    for x, y in pairs:
        assert y.dtype == torch.float32
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)
    assert other.log_prob.dtype == other_evaluation.log_prob.dtype == torch.float32
    assert other_gradient.dtype == torch.float32
    assert torch.cosine_similarity(gradient, other_gradient, dim=0) > cosine


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_is_close_to_float32(policy_of, kind):
    plain, narrow = pair(policy_of, kind, ForwardOptions(bf16=True))
    check_close((plain, narrow), KINDS[kind][0], 0.05, 0.99)
    logits = [
        policy.act_batch(observations(KINDS[kind][0], ROWS), torch.zeros(ROWS, policy.rnn_size)).action_logits
        for policy in (plain, narrow)
    ]
    assert not torch.equal(*logits)  # or bf16 would not have been used
    assert {x.dtype for x in narrow.weights().values()} <= {torch.float32, torch.float64}


def test_in_bf16_acting_and_evaluating_agree(policy_of):
    _, narrow = pair(policy_of, "vector", ForwardOptions(bf16=True))
    observation, state = observations(VECTOR, ROWS), torch.zeros(ROWS, 1)
    output = narrow.act_batch(observation, state)
    evaluation = narrow.evaluate(
        narrow.normalize({key: x[:, None] for key, x in observation.items()}),
        state,
        torch.zeros(ROWS, 1, dtype=torch.bool),
        {name: x[:, None] for name, x in output.action.items()},
    )
    torch.testing.assert_close(evaluation.log_prob[:, 0], output.log_prob, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["image", "gru"])
def test_a_compiled_network_says_the_same_under_the_same_names(policy_of, kind, monkeypatch):
    monkeypatch.setattr(forward_module, "_BACKEND", "aot_eager")  # traces everything and needs no compiler
    plain, compiled = pair(policy_of, kind, ForwardOptions(compiled=True))
    check_close((plain, compiled), KINDS[kind][0], 1e-5, 0.9999)
    assert plain.weights().keys() == compiled.weights().keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
@pytest.mark.parametrize("options", [ForwardOptions(compiled=True), ForwardOptions(compiled=True, bf16=True)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_compiled_to_machine_code_says_the_same(policy_of, kind, options):
    policies = pair(policy_of, kind, options)
    check_close(policies, KINDS[kind][0], 0.05 if options.bf16 else 1e-4, 0.99)


def test_without_a_compiler_there_is_one_sentence(policy_of, monkeypatch):
    def fails(graph, inputs):
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(forward_module, "_BACKEND", fails)
    with pytest.raises(
        UsageError, match=r"--compile=True: torch.compile does not work here, it needs a C\+\+ compiler"
    ):
        pair(policy_of, "vector", ForwardOptions(compiled=True))


def test_a_device_without_bf16_is_refused():
    with pytest.raises(UsageError, match="--amp=bf16: mps cannot compute in bfloat16"):
        forward_module._check_bf16(torch.device("mps"))


def test_the_defaults_are_the_networks_own_methods(policy_of):
    policy = policy_of(VECTOR, ACTIONS)
    network, forward = policy.actor_critic, policy._forward
    assert forward.head == network.forward_head
    assert forward.tail == network.forward_tail
    assert forward.whole is network


def test_cuda_graphs_change_nothing_on_the_cpu(policy_of):
    plain, other = pair(policy_of, "gru", ForwardOptions(cuda_graphs=True))
    check_close((plain, other), VECTOR, 0.0, 0.9999)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [ForwardOptions(cuda_graphs=True), ForwardOptions(cuda_graphs=True, bf16=True)])
@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_are_those_of_the_network(policy_of, kind, options):
    space, changes = KINDS[kind]
    plain = policy_of(space, ACTIONS, **changes)
    network = plain.actor_critic.to("cuda")
    plain, replayed = (
        Policy(network, ACTIONS, space, device="cuda", forward_options=choice)
        for choice in (ForwardOptions(bf16=options.bf16), options)
    )
    for rows in (5, 8, 3):
        observation = {key: x.cuda() for key, x in observations(space, rows).items()}
        state = torch.full((rows, plain.rnn_size), 0.1, device="cuda")
        one, other = (policy.act_batch(observation, state, deterministic=True) for policy in (plain, replayed))
        torch.testing.assert_close(one.action_logits, other.action_logits, rtol=0.02, atol=0.02)
        torch.testing.assert_close(one.rnn_state, other.rnn_state, rtol=0.02, atol=0.02)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.1)


class ResidualCore(ActorCriticSharedWeights):
    """Redefines one step of the core; the inherited way through a segment does not know."""

    def forward_core(self, head_output, rnn_states):
        x, new_rnn_states = super().forward_core(head_output, rnn_states)
        return x + head_output[:, : x.shape[1]], new_rnn_states


def test_a_redefined_step_of_the_core_is_what_a_segment_is_made_of(policy_of):
    policy = policy_of(VECTOR, ACTIONS, {"actor_critic": ResidualCore}, use_rnn=True)
    raw, state = observations(VECTOR, ROWS, LENGTH), torch.full((ROWS, policy.rnn_size), 0.1)
    outputs, entering = [], state
    for t in range(LENGTH):
        outputs.append(policy.act_batch({key: x[:, t] for key, x in raw.items()}, entering))
        entering = outputs[-1].rnn_state
    action = {name: torch.stack([output.action[name] for output in outputs], 1) for name in outputs[0].action}
    evaluation = policy.evaluate(policy.normalize(raw), state, torch.zeros(ROWS, LENGTH, dtype=torch.bool), action)
    torch.testing.assert_close(evaluation.log_prob, torch.stack([output.log_prob for output in outputs], 1))
