"""The loader gives what `take_batch` gives, also when the next batch is loaded before the last one was used."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.envs.spaces import action_parts
from sf_core.rollout.batch_loader import BatchLoader
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.train_batch import take_batch


@pytest.fixture
def buffers():
    space = spaces.Dict(
        {"image": spaces.Box(0, 255, (3, 5, 5), np.uint8), "speed": spaces.Box(-1, 1, (2,), np.float32)}
    )
    buffers = RolloutBuffers(
        space,
        action_parts(spaces.Discrete(3)),
        num_action_parameters=3,
        rnn_size=4,
        num_slots=6,
        num_agents=2,
        rollout=8,
        recurrence=4,
    )
    rng = np.random.default_rng(0)
    for array in buffers.arrays().values():
        array[...] = rng.integers(0, 2, array.shape)
    return buffers


def devices():
    yield pytest.param("cpu", None, id="cpu")
    yield pytest.param("cpu", True, id="cpu, staged")
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    yield pytest.param("cuda", None, id="cuda", marks=missing)


@pytest.mark.parametrize(("device", "staged"), list(devices()))
def test_batches_are_those_of_take_batch(buffers, device, staged):
    loader = BatchLoader(buffers, torch.device(device), staged)
    datasets = ([0, 1], [4, 2], [3, 5])
    for slots, loaded in [(slots, loader.begin(np.array(slots))) for slots in datasets]:
        batch, expected = loaded(), take_batch(buffers, slots)
        tensors = list(batch.tensors())
        assert len(tensors) == len(buffers.fields) - 2  # final observations lie beside the slots
        for one, other in zip(tensors, expected.tensors(), strict=True):
            assert one.dtype == other.dtype
            assert one.device.type == device
            assert torch.equal(one.cpu(), other)


def test_a_staged_batch_has_left_the_buffers(buffers):
    batch = BatchLoader(buffers, torch.device("cpu"), staged=True).begin([0, 1])()
    before = batch.reward.clone()
    buffers.reward[:] = 9.0
    assert torch.equal(batch.reward, before)


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for(buffers):
    loaded = BatchLoader(buffers, torch.device("cpu"), staged=True).begin([99, 3])
    with pytest.raises(IndexError):
        loaded()
