"""Which episodes count, and what they come to."""

import numpy as np
import pytest

from sf_core.envs.seeding import env_seeds
from sf_core.eval.episodes import Counting, Episode, Evaluation, quotas
from sf_core.sampler.messages import FinishedEpisode


def episode(agent=0, reward=1.0, length=5, number=0, **extra_stats):
    return Episode(env=0, agent=agent, number=number, seed=0, reward=reward, length=length, extra_stats=extra_stats)


def finished(row, reward=1.0):
    return FinishedEpisode(agent=row, policy_id=0, reward=reward, length=1, extra_stats={})


def test_statistics_of_the_env_are_averaged_over_the_episodes_that_reported_them():
    evaluation = Evaluation([episode(kills=1.0, place=2.0), episode(kills=4.0), episode()])
    assert evaluation.extra_stats == {"kills": 2.5, "place": 2.0}
    assert Evaluation([episode()]).extra_stats == {}


def test_the_standard_error_is_the_deviation_over_the_root_of_the_number():
    summary = Evaluation([episode(reward=r, number=n) for n, r in enumerate((1.0, 3.0, 1.0, 3.0))]).summary()
    assert (summary["reward_mean"], summary["reward_std"]) == (2.0, 1.0)
    assert summary["reward_sem"] == pytest.approx(np.sqrt(4 / 3) / 2)  # the sample deviation has n - 1 below it
    assert (summary["reward_min"], summary["reward_max"], summary["episodes"]) == (1.0, 3.0, 4)


def test_agents_that_play_together_are_one_game_for_the_standard_error():
    def games_of(*agents):
        return Evaluation([episode(a, r, number=n) for a, rewards in enumerate(agents) for n, r in enumerate(rewards)])

    alone, team = (1.0, 3.0, 1.0, 3.0), games_of(*[(1.0, 3.0, 1.0, 3.0)] * 4)
    # four agents that share every reward tell nothing that one of them does not
    assert team.summary()["reward_sem"] == pytest.approx(games_of(alone).summary()["reward_sem"])
    opponents = games_of((5.0, -5.0, 5.0), (-5.0, 5.0, -5.0)).summary()
    assert (opponents["reward_mean"], opponents["reward_sem"], opponents["reward_std"]) == (0.0, 0.0, 5.0)
    assert np.isnan(games_of((5.0,), (1.0,)).summary()["reward_sem"])  # one game has no error


@pytest.mark.parametrize(("num_episodes", "num_envs"), [(10, 4), (3, 8), (16, 16), (1, 1)])
def test_shares_differ_by_one_at_most_and_add_up(num_episodes, num_envs):
    shares = quotas(num_episodes, num_envs)
    assert shares.sum() == num_episodes
    assert shares.max() - shares.min() <= 1


def test_of_every_env_the_first_episodes_count_however_long_the_others_take():
    counting = Counting(4, num_envs=2, agents_per_env=1, seed=5)
    counting.add([finished(0, reward=float(number)) for number in range(50)])  # env 0 has short episodes
    assert not counting.is_complete()
    assert counting.is_complete(slice(0, 1))
    counting.add([finished(1, reward=100.0), finished(1, reward=200.0), finished(1, reward=300.0)])
    assert counting.is_complete()
    assert counting.evaluation().rewards.tolist() == [0.0, 1.0, 100.0, 200.0]
    assert [one.seed for one in counting.evaluation().episodes] == list(np.repeat(env_seeds(5, 2), 2))


def test_the_mean_is_not_biased_to_short_episodes():
    """Half of the episodes take 1 step and return 0, half take 99 and return 1. The first 100 to end anywhere among 10
    envs have too many short ones.
    """
    rng = np.random.default_rng(0)
    means, naive = [], []
    for _ in range(40):
        counting = Counting(20, num_envs=10, agents_per_env=1, seed=0)
        ends = []  # (time, env, return)
        for env in range(10):
            now = 0
            for _ in range(30):
                long = bool(rng.integers(2))
                now += 99 if long else 1
                ends.append((now, env, float(long)))
        ends.sort()
        for _, env, reward in ends:
            counting.add([finished(env, reward)])
        means.append(counting.evaluation().rewards.mean())
        naive.append(np.mean([reward for _, _, reward in ends[:20]]))
    standard_error = 0.5 / np.sqrt(40 * 20)
    assert abs(np.mean(means) - 0.5) < 4 * standard_error
    assert np.mean(naive) < 0.42


def test_games_of_several_agents_are_counted_once_and_each_agent_has_its_statistics():
    counting = Counting(3, num_envs=2, agents_per_env=2, seed=0)
    for number in range(3):
        counting.add([finished(row, reward=10.0 * row + number) for row in range(4)])
    evaluation = counting.evaluation()
    assert [(one.env, one.agent, one.number) for one in evaluation.episodes] == [
        (0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 0),
    ]  # fmt: skip
    assert evaluation.summary()["episodes"] == 3
    assert evaluation.agents == [0, 1]
    assert evaluation.of_agent(1).rewards.tolist() == [10.0, 11.0, 30.0]
