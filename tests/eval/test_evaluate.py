from __future__ import annotations

from sf_core.eval.evaluate import Evaluation
from sf_core.sampler.messages import FinishedEpisode


def episode(**extra_stats: float) -> FinishedEpisode:
    return FinishedEpisode(agent=0, policy_id=0, reward=1.0, length=5, extra_stats=extra_stats)


def test_statistics_of_the_env_are_averaged_over_the_episodes_that_reported_them():
    evaluation = Evaluation([episode(kills=1.0, place=2.0), episode(kills=4.0), episode()])
    assert evaluation.extra_stats == {"kills": 2.5, "place": 2.0}


def test_an_env_that_reports_nothing_has_no_statistics_of_its_own():
    assert Evaluation([episode()]).extra_stats == {}
