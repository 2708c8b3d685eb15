"""Training on every kind of space: what a policy did is repeated exactly, and the update is a sound one."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sf_core.envs.spaces import action_parts
from sf_core.learner.update import Learner
from sf_core.model.action_distribution import ActionDistribution, ActionLayout


def leaves(max_size):
    sizes = st.integers(1, max_size)
    return st.one_of(
        st.builds(lambda n, start: spaces.Discrete(n, start=start), sizes, st.integers(-2, 2)),
        st.builds(spaces.MultiDiscrete, st.lists(sizes, min_size=1, max_size=3)),
        st.builds(spaces.MultiBinary, sizes),
        st.builds(lambda shape: spaces.Box(-1, 1, tuple(shape)), st.lists(st.integers(1, 2), max_size=2)),
    )


def nested(max_size):
    return st.recursive(
        leaves(max_size),
        lambda children: st.one_of(
            st.lists(children, min_size=1, max_size=3).map(spaces.Tuple),
            st.dictionaries(st.sampled_from("abc"), children, min_size=1, max_size=3).map(spaces.Dict),
        ),
        max_leaves=4,
    )


def check_training(bench, action_space, masked, recurrent):
    cfg = bench.cfg(use_rnn=recurrent, recurrence=3 if recurrent else 1, kl_loss_coeff=0.1)
    observation = {"obs": spaces.Box(-1, 1, (3,), np.float32)}
    num_choices = ActionLayout(action_parts(action_space)).num_choices
    if masked and num_choices:
        observation["action_mask"] = spaces.MultiBinary(num_choices)
    policy = bench.policy(cfg, spaces.Dict(observation), action_space)
    learner = Learner(cfg, policy)
    stats = learner.train(bench.collect(policy, cfg))
    assert stats.num_optimizer_steps == 2
    assert stats.skipped_updates == 0
    assert np.isfinite([stats.loss, stats.kl_divergence_max, stats.entropy, stats.grad_norm]).all()
    # the first minibatch is on policy, the second after one step; were the masks or parts mixed up it would be far off
    assert stats.kl_divergence_max < 5
    assert all(p.isfinite().all() for p in policy.actor_critic.parameters())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(space=nested(4), masked=st.booleans(), recurrent=st.booleans())
def test_an_update_is_sound_in_any_nesting_of_actions_with_and_without_masks(bench, space, masked, recurrent):
    check_training(bench, space, masked, recurrent)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([2, 3]),  # categoricals of different sizes
        spaces.MultiDiscrete([[2, 3], [4, 2]]),
        spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
        spaces.Dict(a=spaces.MultiBinary(3), b=spaces.Discrete(5, start=2)),
    ],
    ids=str,
)
def test_choices_of_different_sizes_are_trained(bench, space, masked):
    check_training(bench, space, masked, recurrent=False)


def test_the_behaviour_keeps_the_mask_of_the_target(bench):
    layout = ActionLayout(action_parts(spaces.MultiDiscrete([2, 3])))
    mask = torch.tensor([[True, False, True, True, False]])
    target = ActionDistribution(layout, torch.randn(1, 5), mask)
    behaviour = target.with_logits(torch.zeros(1, 5))
    # one of two and two of three are legal: log 1 + log 2
    assert behaviour.entropy().item() == pytest.approx(np.log(2), abs=1e-6)
    assert target.kl_divergence(behaviour).isfinite().all()
