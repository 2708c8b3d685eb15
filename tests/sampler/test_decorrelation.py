"""Envs of one worker begin at different places, the same ones in every run, and half-seen episodes are not reported."""

import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.spaces import action_parts
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.sampler.decorrelation import MOST_STEPS, random_steps
from sf_core.sampler.env_group import EnvGroup
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv, Script

LONG = Script(lengths=(1000,))


def test_env_k_of_a_worker_takes_k_rollouts():
    assert random_steps(8, 4, 0, 4) == (0, 8, 16, 24)
    assert random_steps(8, 4, 6, 2) == (16, 24)  # the second half of worker 1
    assert random_steps(8, 4, 0, 8) == (0, 8, 16, 24) * 2  # two workers of a serial run
    assert random_steps(32, 1, 5, 1) == (0,)


@pytest.mark.parametrize("envs", [2, 64, 4096])
def test_a_worker_starts_within_a_bounded_number_of_steps(envs):
    steps = random_steps(512, envs, 0, envs)
    assert sum(steps) <= MOST_STEPS
    assert steps == tuple(sorted(steps))
    assert len(set(steps)) == (envs if envs < 100 else 1)


def group_of(vector, steps):
    buffers = RolloutBuffers(
        vector.observation_space,
        action_parts(vector.action_space),
        num_action_parameters=2,
        rnn_size=1,
        num_slots=vector.num_agents,
        num_agents=vector.num_agents,
        rollout=4,
        recurrence=4,
    )
    return EnvGroup(vector, buffers, random_steps=steps), buffers


def first_rows(vector, steps, seed=5):
    group, buffers = group_of(vector, steps)
    group.reset(seed)
    group.begin_rollout(np.arange(vector.num_agents))
    return buffers.observation["obs"][:, 0], buffers.episode_start[:, 0]


def test_single_envs_have_gone_their_steps_when_the_policy_begins():
    envs = [CountingEnv(i, LONG) for i in range(3)]
    observation, start = first_rows(SingleEnvs(envs), (0, 4, 8))
    assert observation.tolist() == [[0, 0, 0], [1, 0, 4], [2, 0, 8]]
    assert start.all()
    assert len({env.actions[0] for env in envs[1:]} | {*envs[2].actions}) == 2  # both actions were tried


def test_an_env_that_ends_meanwhile_goes_on():
    observation, _ = first_rows(SingleEnvs([CountingEnv(0, Script(lengths=(3,)))]), (7,))
    assert observation.tolist() == [[0, 2, 1]]


def test_agents_of_one_env_move_together():
    envs = [CountingMultiAgentEnv(2, LONG, first_env_id=2 * i) for i in range(2)]
    observation, _ = first_rows(MultiAgentEnvs(envs), (0, 5))
    assert observation[:, 2].tolist() == [0, 0, 5, 5]


def test_native_vectors_are_left_alone():
    observation, _ = first_rows(VectorEnvs(CountingVectorEnv(2, script=LONG)), (0, 5))
    assert observation[:, 2].tolist() == [0, 0]


class Masked(CountingEnv):
    """Offers a mask; which actions it would take is not known to whoever draws them."""

    def __init__(self):
        super().__init__(0, LONG)
        self.observation_space = spaces.Dict({"obs": self.observation_space, "action_mask": spaces.MultiBinary(2)})

    def _observation(self):
        return {"obs": super()._observation(), "action_mask": np.array([0, 1], np.int8)}


def test_envs_that_mask_actions_are_left_alone():
    env = Masked()
    observation, _ = first_rows(SingleEnvs([env]), (5,))
    assert observation.tolist() == [[0, 0, 0]]
    assert env.actions == []


def actions_taken(seed, first_env_id=0, num_envs=2):
    envs = [CountingEnv(first_env_id + i, LONG) for i in range(num_envs)]
    first_rows(SingleEnvs(envs, first_env_id=first_env_id), (30,) * num_envs, seed)
    return [[int(action) for action in env.actions] for env in envs]


def test_the_seed_and_the_number_of_the_env_decide_the_actions():
    assert actions_taken(5) == actions_taken(5)
    assert actions_taken(5) != actions_taken(6)
    assert actions_taken(5)[0] != actions_taken(5)[1]
    assert actions_taken(5)[1] == actions_taken(5, first_env_id=1, num_envs=1)[0]  # whichever group it is in


def test_only_episodes_seen_from_their_beginning_are_reported():
    group, _ = group_of(SingleEnvs([CountingEnv(i, Script(lengths=(4,))) for i in range(2)]), (0, 2))
    group.reset(5)
    group.begin_rollout(np.arange(2))
    for t in range(4):
        group.step(t)
    group.begin_rollout(np.arange(2))
    for t in range(4):
        group.step(t)
    finished = [(episode.agent, episode.length) for episode in group.finished_episodes()]
    assert finished == [(0, 4), (1, 4), (0, 4)]  # env 1 was halfway through its first, and is through its third
