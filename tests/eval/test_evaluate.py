"""A policy plays in envs of this process: whole episodes, memory, what it was told."""

import gymnasium as gym
import numpy as np
import pytest

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.env_utils import TrainingInfoInterface
from sf_core.envs.spaces import action_parts
from sf_core.eval.evaluate import evaluate, play
from sf_core.plugins.plan import EnvError
from sf_core.testing.fake_policy import CountingPolicy, counting_value
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv, Script, StuckEnv
from sf_core.utils.errors import UsageError

SCRIPT = Script()


def single(num_envs):
    return SingleEnvs([CountingEnv(index) for index in range(num_envs)], seed=0)


def vector(mode):
    return lambda num_envs: VectorEnvs(CountingVectorEnv(num_envs, mode), seed=0)


def policy_for(envs, rnn_size=1):
    return CountingPolicy(action_parts(envs.action_space), 2, rnn_size=rnn_size)


@pytest.mark.parametrize(
    "make", [single, *map(vector, gym.vector.AutoresetMode)], ids=["single", "next", "same", "disabled"]
)
def test_every_kind_of_env_contributes_its_first_whole_episodes(make):
    envs = make(3)
    evaluation = evaluate(policy_for(envs), envs, 8, seed=1)
    played = [(one.env, one.number) for one in evaluation.episodes]
    assert played == [(env, number) for env, share in enumerate((3, 3, 2)) for number in range(share)]
    assert evaluation.rewards.tolist() == [SCRIPT.episode_return(env, number) for env, number in played]
    assert evaluation.lengths.tolist() == [SCRIPT.length(env, number) for env, number in played]


def test_each_agent_contributes_to_each_game():
    envs = MultiAgentEnvs([CountingMultiAgentEnv(2), CountingMultiAgentEnv(2, first_env_id=2)], seed=0)
    evaluation = evaluate(policy_for(envs), envs, 4, seed=1)
    for one in evaluation.episodes:
        assert one.reward == SCRIPT.episode_return(2 * one.env + one.agent, one.number)
    assert len(evaluation.episodes) == 8
    assert evaluation.summary()["episodes"] == 4


def test_an_agent_that_never_comes_is_not_waited_for():
    envs = MultiAgentEnvs([CountingMultiAgentEnv(2, inactive=(1, 1, 10**9))], seed=0)
    steps = iter(range(100))
    evaluation = evaluate(policy_for(envs), envs, 3, seed=1, on_step=lambda: next(steps))
    assert [(one.agent, one.number) for one in evaluation.episodes] == [(0, 0), (0, 1), (0, 2)]
    assert evaluation.summary()["episodes"] == 3


def test_memory_begins_anew_with_every_episode():
    envs, moments = single(2), []
    for moment in play(policy_for(envs), envs, seed=1, keep_observation=True):
        env_id, episode, step = moment.observation["obs"].T
        # the state counts the steps that are remembered: as many as the episode has had
        expected = counting_value(env_id, episode, step, state=step)
        np.testing.assert_allclose(moment.output.value.numpy(), expected)
        moments.append(moment)
        if len(moments) == 12:
            break
    assert moments[0].observation["obs"].tolist() == [[0, 0, 0], [1, 0, 0]]  # kept, not overwritten


def test_an_action_is_repeated_until_the_episode_ends():
    envs = SingleEnvs([env := CountingEnv(0)], seed=0)  # episodes of 3, 5 and 4 steps
    for number, _ in enumerate(play(policy_for(envs), envs, seed=1, action_repeat=2), 1):
        if number == 8:
            break
    # observed steps 0 and 2, then 0, 2 and 4; the action is the step modulo 2
    assert [int(action) for action in env.actions] == [0, 0, 0, 0, 0, 0, 0, 0]
    assert envs._observation["obs"][0].tolist() == [0, 2, 0]


def test_what_an_env_raises_names_it():
    class Broken(CountingEnv):
        def step(self, action):
            raise RuntimeError("the maze collapsed")

    envs = SingleEnvs([Broken(0)], seed=0, name="maze")
    with pytest.raises(EnvError, match="'maze' failed: RuntimeError: the maze collapsed"):
        evaluate(policy_for(envs), envs, 1, seed=1)


def test_an_env_with_a_curriculum_hears_how_far_training_was():
    class Curriculum(CountingEnv, TrainingInfoInterface):
        def __init__(self):
            CountingEnv.__init__(self, 0)
            TrainingInfoInterface.__init__(self)

    env = Curriculum()
    envs = SingleEnvs([env], seed=0)
    evaluate(policy_for(envs), envs, 2, seed=1, env_steps=12345)
    assert env.training_info["approx_total_training_steps"] == 12345


class Watched(CountingPolicy):
    """Notes the state that each agent acts with."""

    def __init__(self, envs):
        super().__init__(action_parts(envs.action_space), 2)
        self.states = []

    def act_batch(self, observation, rnn_state, deterministic=False, generator=None):
        self.states.append(rnn_state[:, 0].tolist())
        return super().act_batch(observation, rnn_state, deterministic, generator)


def test_an_agent_that_sits_out_remembers_what_it_did():
    envs = MultiAgentEnvs([CountingMultiAgentEnv(2, Script(lengths=(7,)), inactive=(1, 3, 4))])
    policy = Watched(envs)
    evaluate(policy, envs, 1, seed=0)  # an episode of 7 steps is over after 9, as two of them are sat out
    first, second = zip(*policy.states, strict=True)
    assert list(first) == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert list(second) == [0, 1, 2, 2, 2, 3, 4, 5, 6]


def test_a_state_that_is_not_finite_ends_with_its_episode():
    class Forgetful(Watched):
        def act_batch(self, observation, rnn_state, deterministic=False, generator=None):
            output = super().act_batch(observation, rnn_state, deterministic, generator)
            output.rnn_state[observation["obs"][:, 2] >= 1] = float("nan")
            return output

    envs = SingleEnvs([CountingEnv(0, Script(lengths=(3,)))])
    policy = Forgetful(envs)
    evaluate(policy, envs, 2, seed=0)
    np.testing.assert_array_equal(np.ravel(policy.states), [0, 1, np.nan] * 2)


def test_a_mask_that_leaves_no_choice_is_an_error_that_names_the_env():
    envs = SingleEnvs([StuckEnv()], name="maze")
    with pytest.raises(UsageError, match="env 'maze' returned the observation 'action_mask' with no legal choice"):
        evaluate(Watched(envs), envs, 1, seed=0)
