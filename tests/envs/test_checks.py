import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv
from sf_core.utils.errors import UsageError

ACTIONS = {"action": np.zeros(2, np.int64)}


class Broken(CountingEnv):
    """Returns one thing that is wrong."""

    def __init__(self, *, reset=None, step=None, **kwargs):
        super().__init__(**kwargs)
        self._wrong_reset, self._wrong_step = reset, step

    def reset(self, **kwargs):
        result = super().reset(**kwargs)
        return self._wrong_reset(result) if self._wrong_reset else result

    def step(self, action):
        result = super().step(action)
        return self._wrong_step(result) if self._wrong_step else result


def replaced(position, value):
    return lambda result: (*result[:position], value, *result[position + 1 :])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda result: result[0], r"env 'maze': reset\(\) must return \(observation, info\), it returned a ndarray"),
        (replaced(0, np.zeros(4, np.float32)), r"env 'maze': .*shape \(4,\) where .*observation_space says \(3,\)"),
        (
            replaced(0, "three"),
            "env 'maze' returned observation 'obs' as <U5 numbers that its observation_space of float32 cannot hold",
        ),
        (replaced(0, np.zeros(3, complex)), "env 'maze' returned observation 'obs' as complex128 numbers"),
        (replaced(0, None), "env 'maze' returned observation 'obs' as object numbers"),
        (replaced(0, [[1.0], [2.0, 3.0]]), "env 'maze' returned observation 'obs' as an uneven list"),
    ],
)
def test_a_wrong_reset_is_named_with_its_env(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        SingleEnvs([Broken(reset=wrong)], name="maze").reset()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda result: result[:4], "must return .observation, reward, terminated, truncated, info., .* tuple of 4"),
        (replaced(0, np.zeros((3, 1), np.float32)), r"shape \(3, 1\)"),
        (replaced(1, np.zeros(1)), r"returned a reward of shape \(1,\); return one float"),
        (replaced(1, None), "returned the reward None, which is not a number"),
        (replaced(1, "much"), "returned the reward 'much', which is not a number"),
    ],
)
def test_a_wrong_first_step_is_named_with_its_env(wrong, sentence):
    vector = SingleEnvs([Broken(step=wrong), CountingEnv()], name="maze")
    vector.reset()
    with pytest.raises(UsageError, match=sentence):
        vector.step(ACTIONS)


class Image(CountingEnv):
    """Declares uint8, returns what it is told."""

    def __init__(self, observation):
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (2,), np.uint8)
        self._given = observation

    def _observation(self):
        return self._given


@pytest.mark.parametrize("wrong", [np.array([0.5, 1.0]), [0.5, 1.0], np.array([3, 300]), [-1, 0]])
def test_numbers_that_the_declared_dtype_cannot_hold_are_refused(wrong):
    with pytest.raises(
        UsageError, match=r"env 'maze' returned observation 'obs' as \w+ numbers that its observation_space of uint8"
    ):
        SingleEnvs([Image(wrong)], name="maze").reset()


@pytest.mark.parametrize("right", [np.array([3, 255]), [3, 255], (3, 255), np.array([3, 255], np.uint8)])
def test_whole_numbers_within_range_are_taken(right):
    observation = SingleEnvs([Image(right)], name="maze").reset()
    assert observation["obs"].dtype == np.uint8
    assert observation["obs"].tolist() == [[3, 255]]


def test_a_missing_key_of_a_dict_observation_is_named():
    env = Broken(reset=lambda result: ({"count": result[0]["count"]}, {}), dict_observation=True)
    with pytest.raises(UsageError, match=r"env 'maze': .*phase"):
        SingleEnvs([env], name="maze").reset()


def test_an_env_without_spaces_is_refused():
    env = CountingEnv()
    env.observation_space = None
    with pytest.raises(UsageError, match="env 'maze' has no observation_space"):
        SingleEnvs([env], name="maze")


def test_copies_of_an_env_must_have_the_same_spaces():
    other = CountingEnv(action_space=spaces.Discrete(3))
    with pytest.raises(UsageError, match="env 'maze': copy 1 has other spaces than copy 0"):
        SingleEnvs([CountingEnv(), other], name="maze")


class BrokenVector(CountingVectorEnv):
    """As `Broken`, for a vector env."""

    def __init__(self, wrong, **kwargs):
        super().__init__(2, **kwargs)
        self._wrong = wrong

    def step(self, actions):
        return self._wrong(super().step(actions))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (replaced(0, np.zeros((3, 3), np.float32)), "env 'fast' returned 3 rows of observation 'obs' for 2 envs"),
        (replaced(1, 0.0), r"env 'fast' returned rewards of shape \(\); return 2 of them"),
        (replaced(1, np.zeros(3)), r"env 'fast' returned rewards of shape \(3,\)"),
        (replaced(2, np.zeros(1, bool)), "env 'fast' returned 1 entries as terminated"),
        (replaced(3, False), "env 'fast' returned a bool as truncated"),
    ],
)
def test_a_wrong_step_of_a_vector_env_is_named_with_its_env(wrong, sentence):
    vector = VectorEnvs(BrokenVector(wrong), name="fast")
    vector.reset()
    with pytest.raises(UsageError, match=sentence):
        vector.step(ACTIONS)


def test_a_vector_env_must_say_when_it_resets():
    env = CountingVectorEnv(2)
    env.metadata = {}
    with pytest.raises(UsageError, match=r"env 'fast': .*set metadata\['autoreset_mode'\]"):
        VectorEnvs(env, name="fast")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (replaced(1, [0.0]), r"env 'team' returned rewards of shape \(1,\); return 2 of them"),
        (replaced(1, 1.0), r"env 'team' returned rewards of shape \(\)"),
        (replaced(2, [False]), "env 'team' returned 1 entries as terminated"),
        (replaced(0, [np.zeros(3, np.float32)]), "env 'team' returned 1 entries as observations"),
        (replaced(4, {}), "env 'team' returned a dict as infos; return a list"),
        (
            replaced(0, [np.zeros(3, np.float32), None]),
            "env 'team' returned no observation for agent 1, which is to act",
        ),
    ],
)
def test_a_wrong_step_of_a_multi_agent_env_is_named_with_its_env(wrong, sentence):
    env = CountingMultiAgentEnv(2)
    step = env.step
    env.step = lambda actions: wrong(step(actions))
    vector = MultiAgentEnvs([env], name="team")
    vector.reset()
    with pytest.raises(UsageError, match=sentence):
        vector.step(ACTIONS)


TWO = [np.zeros(3, np.float32)] * 2


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (TWO, r"env 'team': reset\(\) must return \(observation, info\), it returned a list"),
        (tuple(TWO), r"env 'team': reset\(\) must return \(observation, info\)"),
        ((TWO[:1], [{}, {}]), "env 'team' returned 1 entries as observations; return 2"),
        ((TWO, [{}, {}, {}]), "env 'team' returned 3 entries as infos; return 2"),
        ((dict(zip("ab", TWO, strict=True)), {}), "env 'team' returned a dict as observations; return a list"),
        (([TWO[0], None], [{}, {}]), "env 'team' returned no observation for agent 1, which is to act"),
        (([TWO[0], np.zeros(4, np.float32)], {}), r"env 'team': .*shape \(4,\) where .* says \(3,\)"),
    ],
)
def test_a_wrong_reset_of_a_multi_agent_env_is_named_with_its_env(result, sentence):
    env = CountingMultiAgentEnv(2)
    env.reset = lambda **kwargs: result
    with pytest.raises(UsageError, match=sentence):
        MultiAgentEnvs([env], name="team").reset()


def test_copies_of_a_multi_agent_env_must_have_as_many_agents():
    with pytest.raises(UsageError, match=r"env 'team': its copies have \[2, 3\] agents"):
        MultiAgentEnvs([CountingMultiAgentEnv(2), CountingMultiAgentEnv(3)], name="team")
