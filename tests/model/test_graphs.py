"""Padding and replaying, with a recording that simply runs; on a CUDA device with real ones, too."""

import pytest
import torch

from sf_core.model.graphs import ReplayedStep, padded_size


def test_sizes_are_powers_of_two():
    assert [padded_size(rows) for rows in (1, 2, 3, 4, 5, 8, 9, 1000)] == [1, 2, 4, 4, 8, 8, 16, 1024]


def step(inputs, rnn_state, mask):
    logits = inputs["obs"].flatten(1).sum(1, keepdim=True) + rnn_state
    return {"logits": logits if mask is None else logits * mask, "state": rnn_state + 1}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(3,), (2, 6, 5)], ids=["vector", "image"])
def test_every_size_of_batch_gives_what_the_function_gives(masked, shape):
    recordings = []

    def record(run):
        recordings.append(run)
        return run

    replayed = ReplayedStep(step, record)
    for rows in (5, 8, 3, 5, 1, 7):
        obs = torch.rand(rows, *shape)
        if len(shape) == 3:
            obs = obs.contiguous(memory_format=torch.channels_last)
        state, mask = torch.rand(rows, 2), torch.randint(2, (rows, 2)).bool() if masked else None
        expected = step({"obs": obs}, state, mask)
        found = replayed({"obs": obs}, state, mask)
        assert found.keys() == expected.keys()
        for name, x in expected.items():
            torch.testing.assert_close(found[name], x)
    assert len(recordings) == 3  # of 8, 4 and 1 rows


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recording_reads_weights_that_changed_in_place():
    layer = torch.nn.Linear(3, 2, device="cuda")
    replayed = ReplayedStep(lambda inputs, state, mask: {"logits": layer(inputs["obs"]), "state": state + 1})
    for rows in (5, 8, 3):
        with torch.no_grad():
            layer.weight.add_(1.0)
            obs, state = torch.rand(rows, 3, device="cuda"), torch.rand(rows, 2, device="cuda")
            found = replayed({"obs": obs}, state, None)
            torch.testing.assert_close(found["logits"], layer(obs))
            torch.testing.assert_close(found["state"], state + 1)
