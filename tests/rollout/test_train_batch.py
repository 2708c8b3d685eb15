from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sf_core.rollout.train_batch import TrainBatch, take_batch

S, T, H, P = 6, 4, 3, 2


@pytest.fixture
def buffers():
    count = iter(range(1, 100))

    def filled(*shape, dtype=np.float32):
        array = np.arange(np.prod(shape)).reshape(shape) + 1000 * next(count)
        return array.astype(dtype)

    return SimpleNamespace(
        observation={"obs": filled(S, T + 1, 5), "image": filled(S, T + 1, 1, 2, 2, dtype=np.uint8)},
        episode_start=filled(S, T + 1) % 3 == 0,
        rnn_state=filled(S, T // 2 + 1, H),
        action={"turn": filled(S, T, dtype=np.int64), "move": filled(S, T, 2)},
        action_logits=filled(S, T, P),
        behaviour_log_prob=filled(S, T),
        behaviour_value=filled(S, T),
        policy_version=filled(S, T, dtype=np.int64),
        policy_id=filled(S, T, dtype=np.int32),
        reward=filled(S, T),
        terminated=filled(S, T) % 3 == 0,
        truncated=filled(S, T) % 3 == 1,
        valid=filled(S, T) % 2 == 0,
        final_value=filled(S, T),
    )


@pytest.mark.parametrize("slots", [[2, 3, 4], [4, 0, 2]])
def test_every_field_of_the_taken_slots_arrives_in_their_order(buffers, slots):
    batch = take_batch(buffers, np.array(slots))
    for name in TrainBatch.__slots__:
        expected, got = getattr(buffers, name), getattr(batch, name)
        pairs = [(expected[key], got[key]) for key in expected] if isinstance(expected, dict) else [(expected, got)]
        for source, tensor in pairs:
            np.testing.assert_array_equal(tensor.numpy(), source[slots])
            assert tensor.numpy().dtype == source.dtype
    assert (batch.num_rollouts, batch.rollout, batch.num_transitions) == (3, 4, 12)


def test_contiguous_slots_are_not_copied(buffers):
    batch = take_batch(buffers, [1, 2])
    assert np.shares_memory(batch.observation["image"].numpy(), buffers.observation["image"])
    assert np.shares_memory(batch.reward.numpy(), buffers.reward)


def test_scattered_slots_are_copied(buffers):
    assert not np.shares_memory(take_batch(buffers, [1, 3]).reward.numpy(), buffers.reward)


def test_batch_cannot_be_changed(buffers):
    batch = take_batch(buffers, [0])
    with pytest.raises(AttributeError):
        batch.reward = torch.zeros(1)
