from dataclasses import replace

import numpy as np

from sf_core.envs.timestep import TimeStep
from sf_core.sampler.episode_stats import EpisodeStats


def step(reward, **rows):
    """A step of two agents in which nothing happens but what is given."""
    none = np.zeros(2, bool)
    plain = TimeStep(
        observation={},
        reward=np.asarray(reward, np.float32),
        terminated=none,
        truncated=none,
        valid=~none,
        active=~none,
        episode_start=none,
        episode_end=none,
        final_observation=None,
        final_rows=none,
        approximate=none,
        extra_stats={},
    )
    return replace(
        plain, **{key: np.asarray(value) if isinstance(value, list) else value for key, value in rows.items()}
    )


def test_return_and_length_are_sums_over_one_episode():
    stats = EpisodeStats(2, first_agent=10, policy_id=1)
    assert stats.update(step([1.0, 5.0])) == []
    assert stats.update(step([2.0, 5.0])) == []
    (one,) = stats.update(step([3.0, 5.0], terminated=[True, False], episode_end=[True, False]))
    assert (one.agent, one.policy_id, one.reward, one.length) == (10, 1, 6.0, 3)
    (two,) = stats.update(step([9.0, 5.0], truncated=[False, True], episode_end=[False, True]))
    assert (two.agent, two.reward, two.length) == (11, 20.0, 4)
    (three,) = stats.update(step([1.0, 0.0], terminated=[True, False], episode_end=[True, False]))
    assert (three.reward, three.length) == (10.0, 2)  # 9 + 1: the new episode began after the old one


def test_a_row_that_only_resets_counts_for_nothing():
    stats = EpisodeStats(2)
    stats.update(step([1.0, 0.0], terminated=[True, False], episode_end=[True, False]))
    stats.update(step([50.0, 0.0], valid=[False, True]))
    (episode,) = stats.update(step([2.0, 0.0], terminated=[True, False], episode_end=[True, False]))
    assert (episode.reward, episode.length) == (2.0, 1)


def test_a_step_sat_out_makes_no_episode_longer_but_its_reward_counts():
    stats = EpisodeStats(2)
    stats.update(step([1.0, 1.0]))
    stats.update(step([1.0, 7.0], active=[True, False]))
    finished = stats.update(step([1.0, 1.0], terminated=[True, True], episode_end=[True, True]))
    assert [(episode.reward, episode.length) for episode in finished] == [(3.0, 3), (9.0, 2)]


def test_a_lost_life_does_not_end_the_episode():
    stats = EpisodeStats(2)
    assert stats.update(step([1.0, 0.0], terminated=[True, False], episode_start=[True, False])) == []
    (episode,) = stats.update(step([2.0, 0.0], terminated=[True, False], episode_end=[True, False]))
    assert (episode.reward, episode.length) == (3.0, 2)


def test_an_episode_in_which_no_step_was_taken_is_not_reported():
    stats = EpisodeStats(2)
    assert stats.update(step([0.0, 0.0], valid=[False, True], episode_end=[True, False])) == []


def test_extra_stats_of_the_last_step_are_attached():
    stats = EpisodeStats(2)
    (episode,) = stats.update(step([0.0, 0.0], episode_end=[False, True], extra_stats={1: {"kills": 3.0}}))
    assert (episode.agent, episode.extra_stats) == (1, {"kills": 3.0})


def test_long_sums_keep_their_precision():
    stats = EpisodeStats(2)
    for _ in range(1000):
        stats.update(step([0.1, 1e6]))
    first, second = stats.update(step([0.0, 1.0], episode_end=[True, True]))
    assert abs(first.reward - 1000 * float(np.float32(0.1))) < 1e-6
    assert second.reward == 1e9 + 1  # a float32 sum would have lost the last step


def test_a_reset_from_outside_forgets_the_episode_in_progress():
    stats = EpisodeStats(2)
    stats.update(step([5.0, 5.0]))
    stats.reset()
    (episode,) = stats.update(step([1.0, 0.0], episode_end=[True, False]))
    assert (episode.reward, episode.length) == (1.0, 1)
