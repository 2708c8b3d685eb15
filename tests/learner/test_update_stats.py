"""What is reported of the minibatches of an iteration, against numpy on one minibatch after the other."""

import numpy as np
import pytest
import torch

from sf_core.learner.losses import LossTerms
from sf_core.learner.update_stats import (
    MINIBATCH_STATS,
    MinibatchRecord,
    MinibatchSamples,
    describe_minibatches,
    mean_of_applied,
    reduce_minibatch_stats,
)

CLIP = 0.1
NAMES = MinibatchSamples._fields[1:]


def record(rng, masked, applied=True, num_samples=7):
    valid = torch.from_numpy(rng.random(num_samples) < 0.6) if masked else None
    numbers = {name: torch.from_numpy(rng.normal(1.0, 0.3, num_samples)).float() for name in NAMES}
    if valid is not None:
        valid[:2] = True
        for x in numbers.values():
            x[~valid] = torch.nan
    terms = [torch.tensor(x, requires_grad=True) for x in rng.normal(size=4).astype(np.float32)]
    total = LossTerms(*terms).total if applied else torch.tensor(torch.nan)
    return MinibatchRecord.of(
        LossTerms(*terms), total, torch.tensor(2.5), torch.tensor(applied), MinibatchSamples(valid, **numbers)
    )


def literal(one):
    """The numbers of one minibatch."""
    keep = slice(None) if one.samples.valid is None else one.samples.valid.numpy()
    ratio, entropy, kl, value, old_value, advantage = (x.numpy()[keep].astype(float) for x in one.samples[1:])
    names = ("policy_loss", "value_loss", "exploration_loss", "kl_loss", "loss")
    return {
        **dict(zip(names, one.losses.tolist(), strict=True)),
        "entropy": entropy.mean(),
        "value": value.mean(),
        "kl_divergence": kl.mean(),
        "kl_divergence_max": kl.max(),
        "ratio_mean": np.abs(1 - ratio).mean(),
        "ratio_min": ratio.min(),
        "ratio_max": ratio.max(),
        "fraction_clipped": ((ratio < 1 / (1 + CLIP)) | (ratio > 1 + CLIP)).mean(),
        "value_delta": np.abs(value - old_value).mean(),
        "value_delta_max": np.abs(value - old_value).max(),
        "adv_mean": advantage.mean(),
        "adv_std": advantage.std(ddof=1),
        "adv_min": advantage.min(),
        "adv_max": advantage.max(),
        "max_abs_logprob": 9.0,
        "grad_norm": 2.5,
        "applied": float(one.applied),
    }


@pytest.mark.parametrize("masked", [[False] * 3, [True] * 3, [True, False, True]], ids=str)
def test_every_minibatch_is_described_by_its_valid_samples(masked):
    rng = np.random.default_rng(0)
    records = [record(rng, each) for each in masked]
    table = describe_minibatches(records, CLIP, torch.tensor(9.0))
    for row, one in zip(table, records, strict=True):
        expected = literal(one)
        assert dict(zip(MINIBATCH_STATS, row.tolist(), strict=True)) == pytest.approx(expected, rel=1e-5)
        assert float(one.kl()) == pytest.approx(expected["kl_divergence"], rel=1e-5)


def test_skipped_minibatches_do_not_count():
    rng = np.random.default_rng(1)
    records = [record(rng, True), record(rng, False, applied=False), record(rng, False)]
    reduced = reduce_minibatch_stats(describe_minibatches(records, CLIP, torch.tensor(9.0)))
    first, last = literal(records[0]), literal(records[2])
    assert reduced["applied"] == 2
    assert reduced["loss"] == pytest.approx((first["loss"] + last["loss"]) / 2, rel=1e-5)
    assert reduced["ratio_min"] == pytest.approx(min(first["ratio_min"], last["ratio_min"]), rel=1e-5)
    assert reduced["adv_max"] == pytest.approx(max(first["adv_max"], last["adv_max"]), rel=1e-5)
    assert mean_of_applied(records, MinibatchRecord.kl) == pytest.approx(reduced["kl_divergence"], rel=1e-5)


def test_without_a_minibatch_there_is_nothing_to_report():
    reduced = reduce_minibatch_stats(describe_minibatches([], CLIP, torch.tensor(9.0)))
    assert reduced.pop("applied") == 0
    assert np.isnan(list(reduced.values())).all()
    assert np.isnan(mean_of_applied([], MinibatchRecord.kl))
