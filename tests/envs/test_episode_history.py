import json

import gymnasium
import numpy as np
import pytest

from sf_core.envs.adapters import episode_history
from sf_core.envs.adapters.episode_history import SavedEpisodes
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.env_utils import TrainingInfoInterface

ACTIONS = [{"action": np.random.default_rng(t).integers(0, 2, 3)} for t in range(200)]


class OwnGenerators(gymnasium.Wrapper):
    """Draws from a generator of its own, and has the env draw from a kind that is not numpy's default."""

    def __init__(self, env):
        super().__init__(env)
        env.unwrapped.np_random = np.random.Generator(np.random.MT19937(3))
        self.generator = np.random.Generator(np.random.Philox(1))
        self.factor = np.float32(1)

    def reset(self, *, seed=None, options=None):
        self.factor = np.float32(self.generator.random())
        return self.env.reset(options=options)

    def step(self, action):
        observation, *rest = self.env.step(action)
        return observation * self.factor, *rest


class Curriculum(gymnasium.Wrapper, TrainingInfoInterface):
    """Begins elsewhere the further training is."""

    def __init__(self, env):
        gymnasium.Wrapper.__init__(self, env)
        TrainingInfoInterface.__init__(self)

    def step(self, action):
        observation, *rest = self.env.step(action)
        return observation + np.float32(self.training_info.get("approx_total_training_steps", 0)), *rest


def envs_of(wrap):
    envs = SingleEnvs([wrap(gymnasium.make("CartPole-v1", disable_env_checker=True)) for _ in range(3)], seed=5)
    envs.keep_history()
    return envs


def play(envs, first, last):
    for t in range(first, last):
        envs.inform({"approx_total_training_steps": t})
        step = envs.step(ACTIONS[t])
    return {key: array.copy() for key, array in step.observation.items()}


def through_json(saved):
    assert all(array.dtype.name not in ("uint32", "uint64", "object") for array in saved.arrays.values())
    return SavedEpisodes(json.loads(json.dumps(saved.facts, allow_nan=False)), saved.arrays)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: env,
        OwnGenerators,
        Curriculum,
        gymnasium.wrappers.NormalizeObservation,
        lambda env: gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.NormalizeReward(env)),
    ],
)
@pytest.mark.parametrize("steps", [1, 20, 90])
def test_new_copies_go_on_where_the_old_ones_were(wrap, steps):
    envs = envs_of(wrap)
    envs.reset(7)
    envs.play_randomly((0, 5, 40), 7)
    observation = play(envs, 0, steps)
    envs.mark()
    expected = play(envs, steps, steps + 60)  # what comes after the mark is none of the saved episodes' business
    saved = through_json(envs.saved_episodes())

    others = envs_of(wrap)
    np.testing.assert_array_equal(others.play_again(saved)["obs"], observation["obs"])
    others.mark()
    again = through_json(others.saved_episodes())
    assert again.facts == saved.facts
    assert {name: array.tolist() for name, array in again.arrays.items()} == {
        name: array.tolist() for name, array in saved.arrays.items()
    }
    np.testing.assert_array_equal(play(others, steps, steps + 60)["obs"], expected["obs"])


def test_an_env_that_does_not_end_up_where_it_was_is_named():
    envs = envs_of(lambda env: env)
    envs.reset(7)
    play(envs, 0, 5)
    envs.mark()
    saved = envs.saved_episodes()
    saved.arrays["action.action"][7] ^= 1  # the third step of env 1
    with pytest.raises(ValueError, match="env 1 is not where it was"):
        envs_of(lambda env: env).play_again(saved)
    with pytest.raises(ValueError, match="0 wrappers and had 2"):
        envs_of(lambda env: env.unwrapped).play_again(saved)


def test_only_as_many_steps_are_kept_as_will_be_needed(monkeypatch):
    monkeypatch.setattr(episode_history, "MOST_STEPS", 3 * 6)
    envs = envs_of(lambda env: env)
    envs.reset(7)
    assert envs.saved_episodes() is None  # nothing was marked
    for first in range(0, 6, 2):
        play(envs, first, first + 2)
        envs.mark()
        assert envs.saved_episodes() is not None
    play(envs, 6, 8)
    envs.mark()
    assert envs.saved_episodes() is None  # the first 8 steps of no env end its episode
    monkeypatch.setattr(episode_history, "MOST_STEPS", 3 * 100)
    play(envs, 8, 10)
    envs.mark()
    assert envs.saved_episodes() is None  # what was forgotten does not come back
    play(envs, 10, 100)
    envs.mark()
    assert envs.saved_episodes() is not None  # but new episodes have begun everywhere


def test_nothing_is_noted_unless_somebody_asks():
    envs = SingleEnvs([gymnasium.make("CartPole-v1")], seed=5)
    envs.reset(7)
    envs.mark()
    assert envs.saved_episodes() is None
