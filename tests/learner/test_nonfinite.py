import dataclasses
import errno

import pytest
import torch

from sf_core.learner.nonfinite import MAX_BAD_BATCHES, BadBatches, blame_update, find_culprits, load_bad_batch
from sf_core.learner.update_stats import MINIBATCH_STATS, reduce_minibatch_stats

NAN = float("nan")


@pytest.fixture
def batch(bench):
    cfg = bench.cfg()
    return bench.collect(bench.policy(cfg), cfg, ends=False)


def test_a_finite_batch_has_no_culprit(batch):
    assert find_culprits(batch, batch.valid) == ()


def test_rows_that_are_trained_on_are_blamed_before_the_others(batch):
    train = batch.valid.clone()
    train[0, 3] = False
    reward, value = batch.reward.clone(), batch.behaviour_value.clone()
    value[0, 3] = NAN
    assert find_culprits(dataclasses.replace(batch, behaviour_value=value), train) == ("value",)
    reward[1, 1] = NAN
    assert find_culprits(dataclasses.replace(batch, behaviour_value=value, reward=reward), train) == ("reward",)


def test_the_bootstrap_observation_counts(batch):
    obs = batch.observation["obs"].clone()
    obs[2, -1, 0] = torch.inf
    assert find_culprits(dataclasses.replace(batch, observation={"obs": obs}), batch.valid) == ('observation["obs"]',)


def row(applied=0.0, **values):
    return torch.tensor([{"applied": applied, **values}.get(name, 1.0) for name in MINIBATCH_STATS])


@pytest.mark.parametrize(
    ("broken", "culprits"),
    [
        ({"policy_loss": NAN, "loss": NAN}, ("logits",)),
        ({"exploration_loss": torch.inf}, ("logits",)),
        ({"value_loss": NAN}, ("value",)),
        ({"value_loss": NAN, "policy_loss": NAN}, ("logits", "value")),
        ({"grad_norm": torch.inf}, ("gradient",)),
    ],
)
def test_the_term_that_is_not_finite_names_the_part_of_the_network(broken, culprits):
    assert blame_update(torch.stack([row(), row(**broken)])) == culprits


def test_skipped_minibatches_are_left_out_of_the_report():
    reduced = reduce_minibatch_stats(
        torch.stack(
            [
                row(applied=1.0, loss=2.0, ratio_max=1.5),
                row(applied=0.0, loss=NAN, ratio_max=9.0),
                row(applied=1.0, loss=4.0, ratio_max=1.2),
            ]
        )
    )
    assert (reduced["loss"], reduced["ratio_max"], reduced["applied"]) == (3.0, 1.5, 2.0)


def test_without_any_applied_minibatch_there_is_nothing_to_average():
    for table in (row()[None][:0], row(applied=0.0)[None]):
        reduced = reduce_minibatch_stats(table)
        assert reduced["applied"] == 0.0
        assert reduced["loss"] != reduced["loss"]  # NaN


def test_a_kept_batch_comes_back_as_it_was_and_only_the_first_ones_are_kept(tmp_path, batch):
    reward = batch.reward.clone()
    reward[1, 1] = NAN
    bad = dataclasses.replace(batch, reward=reward)
    bad_batches = BadBatches(tmp_path / "bad")
    paths = [bad_batches.keep(bad, version, ("reward",)) for version in range(MAX_BAD_BATCHES + 2)]
    assert paths[MAX_BAD_BATCHES:] == [None, None]
    again = load_bad_batch(paths[0])
    for field in dataclasses.fields(bad):
        torch.testing.assert_close(getattr(again, field.name), getattr(bad, field.name), equal_nan=True)


def test_half_a_batch_is_none(tmp_path, batch, monkeypatch, caplog):
    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sf_core.learner.nonfinite.save_file", full)
    assert BadBatches(tmp_path / "bad").keep(batch, 1, ("reward",)) is None
    assert "The batch cannot be kept" in caplog.text
    assert list((tmp_path / "bad").iterdir()) == []
