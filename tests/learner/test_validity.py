import torch

from sf_core.learner.sample_counts import SampleCounts
from sf_core.learner.validity import count_samples, validity


def masks(valid=True, policy_id=0, version=10, *, learner_version=10, max_lag=5):
    return validity(
        torch.tensor([valid]),
        torch.tensor([policy_id], dtype=torch.int32),
        torch.tensor([version]),
        own_policy_id=0,
        learner_version=learner_version,
        max_lag=max_lag,
    )


def test_a_real_and_recent_row_counts_for_everything():
    result = masks()
    assert result.transition.all()
    assert result.train.all()
    assert result.policy_lag.tolist() == [0]


def test_reset_rows_inactive_agents_and_other_policies_count_for_nothing():
    for result in (masks(valid=False), masks(policy_id=-1), masks(policy_id=1)):
        assert not result.transition.any()
        assert not result.train.any()


def test_a_row_as_old_as_the_limit_is_a_transition_but_not_trained_on():
    assert masks(learner_version=14).train.all()
    stale = masks(learner_version=15)  # lag 5, limit 5
    assert stale.policy_lag.tolist() == [5]
    assert stale.transition.all()
    assert not stale.train.any()


def test_versions_beyond_float32_are_told_apart():
    big = 2**24  # 16777216 + 1 is not a float32
    assert masks(version=big, learner_version=big + 1, max_lag=1).policy_lag.tolist() == [1]


def test_every_masked_row_is_counted_once_with_its_reason():
    #            trained  trained  stale  resets  resets, too old  inactive  inactive  other  other, resets
    valid = torch.tensor([1, 1, 1, 0, 0, 0, 1, 1, 0], dtype=torch.bool)
    policy_id = torch.tensor([0, 0, 0, 0, 0, -1, -1, 3, 3], dtype=torch.int32)
    version = torch.tensor([10, 8, 5, 10, 1, 10, 10, 10, 10])
    found = validity(valid, policy_id, version, own_policy_id=0, learner_version=10, max_lag=5)
    assert count_samples(policy_id, found, own_policy_id=0) == SampleCounts(
        trained=2, stale=1, reset_only=2, inactive=2, other_policy=2, policy_lag={0: 1, 2: 1, 5: 1}
    )
