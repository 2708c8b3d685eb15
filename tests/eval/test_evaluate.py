from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.spaces import action_parts
from sf_core.eval.evaluate import Evaluation, evaluate
from sf_core.sampler.messages import FinishedEpisode
from sf_core.testing.fake_policy import CountingPolicy
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, Script
from sf_core.utils.errors import UsageError


def episode(**extra_stats: float) -> FinishedEpisode:
    return FinishedEpisode(agent=0, policy_id=0, reward=1.0, length=5, extra_stats=extra_stats)


def test_statistics_of_the_env_are_averaged_over_the_episodes_that_reported_them():
    evaluation = Evaluation([episode(kills=1.0, place=2.0), episode(kills=4.0), episode()])
    assert evaluation.extra_stats == {"kills": 2.5, "place": 2.0}


def test_an_env_that_reports_nothing_has_no_statistics_of_its_own():
    assert Evaluation([episode()]).extra_stats == {}


class Watched(CountingPolicy):
    """Notes the state that each agent acts with."""

    def __init__(self, vector):
        super().__init__(action_parts(vector.action_space), 2)
        self.states = []

    def act_batch(self, observation, rnn_state, deterministic=False, generator=None):
        self.states.append(rnn_state[:, 0].tolist())
        return super().act_batch(observation, rnn_state, deterministic, generator)


def test_an_agent_that_sits_out_remembers_what_it_did():
    vector = MultiAgentEnvs([CountingMultiAgentEnv(2, Script(lengths=(7,)), inactive=(1, 3, 4))])
    policy = Watched(vector)
    evaluate(policy, vector, 2, seed=0)  # an episode of 7 steps is over after 9, as two of them are sat out
    first, second = zip(*policy.states, strict=True)
    assert list(first) == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert list(second) == [0, 1, 2, 2, 2, 3, 4, 5, 6]


class Forgetful(Watched):
    """Whose state is not a number from the second step of an episode on."""

    def act_batch(self, observation, rnn_state, deterministic=False, generator=None):
        output = super().act_batch(observation, rnn_state, deterministic, generator)
        output.rnn_state[observation["obs"][:, 2] >= 1] = float("nan")
        return output


def test_a_state_that_is_not_finite_ends_with_its_episode():
    vector = SingleEnvs([CountingEnv(0, Script(lengths=(3,)))])
    policy = Forgetful(vector)
    evaluate(policy, vector, 2, seed=0)
    np.testing.assert_array_equal(np.ravel(policy.states), [0, 1, np.nan] * 2)


class Stuck(CountingEnv):
    """Forbids every action in its third observation."""

    def __init__(self):
        super().__init__(0, Script(lengths=(100,)))
        self.observation_space = spaces.Dict(obs=self.observation_space, action_mask=spaces.MultiBinary(2))

    def _observation(self):
        return {"obs": super()._observation(), "action_mask": np.full(2, self._step != 2, np.int8)}

    def step(self, action):
        assert self._step != 2, "an env may refuse what it forbids"
        return super().step(action)


def test_a_mask_that_leaves_no_choice_is_an_error_that_names_the_env():
    vector = SingleEnvs([Stuck()], name="maze")
    with pytest.raises(UsageError, match="env 'maze' returned the observation 'action_mask' with no legal choice"):
        evaluate(Watched(vector), vector, 1, seed=0)
