from itertools import chain

import pytest
import torch

from sf_core.learner.minibatches import minibatch_selections


def indices(selections, num_segments):
    return [torch.arange(num_segments)[s].tolist() for s in selections]


def test_without_a_generator_the_parts_are_contiguous_slices():
    assert minibatch_selections(6, 3) == [slice(0, 2), slice(2, 4), slice(4, 6)]


def test_shuffled_parts_hold_every_segment_once():
    parts = indices(minibatch_selections(12, 4, torch.Generator().manual_seed(0)), 12)
    assert [len(part) for part in parts] == [3, 3, 3, 3]
    assert sorted(chain(*parts)) == list(range(12))
    assert list(chain(*parts)) != list(range(12))


def test_every_epoch_shuffles_anew_and_a_seed_repeats_it():
    def two_epochs(seed):
        generator = torch.Generator().manual_seed(seed)
        return [indices(minibatch_selections(12, 4, generator), 12) for _ in range(2)]

    first, second = two_epochs(3)
    assert first != second
    assert two_epochs(3) == [first, second]
    assert two_epochs(4)[0] != first


def test_one_minibatch_needs_no_copy_even_when_shuffled():
    assert minibatch_selections(5, 1, torch.Generator()) == [slice(0, 5)]


@pytest.mark.parametrize("num_minibatches", [0, 5])
def test_unequal_parts_are_refused(num_minibatches):
    with pytest.raises(ValueError, match="equal minibatches"):
        minibatch_selections(12, num_minibatches)
