import copy
import io

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.model.normalizer import ObservationNormalizer, ReturnsNormalizer, RunningMeanStd
from sf_core.utils.errors import UsageError


def all_at_once(rows):
    """The oracle: statistics of an imaginary 0 with variance 1 and every row, from the definition."""
    rows = np.asarray(rows, np.float64)
    count = len(rows) + 1
    mean = rows.sum(0) / count
    # sum of squares about the common mean: the imaginary sample adds 1 + mean^2
    var = (1 + mean**2 + ((rows - mean) ** 2).sum(0)) / count
    return mean, var


def test_batches_add_up_to_the_statistics_of_all_rows():
    rows = torch.randn(100, 3, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1]) + 5
    running = RunningMeanStd((3,))
    for chunk in rows.float().split([1, 40, 7, 52]):
        running.update(chunk)
    mean, var = all_at_once(rows)
    np.testing.assert_allclose(running.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(running.var, var, rtol=1e-5)
    assert running.count.item() == 101


def test_two_numbers_by_hand():
    running = RunningMeanStd(())
    running.update(torch.tensor([2.0, 4.0]))
    # with the imaginary 0: mean (0+2+4)/3 = 2; variance (1 + 4 + 0 + 4)/3 = 3
    assert running.mean.item() == 2
    assert running.var.item() == pytest.approx(3)
    # (8-2)/sqrt(3+1e-5)
    assert running.normalize(torch.tensor(8.0)).item() == pytest.approx(6 / 3.00001**0.5)
    assert running.denormalize(torch.tensor(-1.0)).item() == pytest.approx(2 - 3.00001**0.5)


def test_only_valid_rows_count():
    rows = torch.randn(4, 5, 2)
    valid = torch.rand(4, 5) < 0.5
    dirty = rows.masked_fill(~valid[..., None], float("nan"))
    masked, chosen = RunningMeanStd((2,)), RunningMeanStd((2,))
    masked.update(dirty, valid)
    chosen.update(rows[valid])
    for name, value in chosen.state_dict().items():
        assert torch.equal(masked.state_dict()[name], value)


def test_no_valid_row_changes_nothing():
    running = RunningMeanStd((2,))
    running.update(torch.full((3, 2), float("nan")), torch.zeros(3, dtype=torch.bool))
    running.update(torch.zeros(0, 2))
    assert running.mean.tolist() == [0, 0]
    assert running.var.tolist() == [1, 1]
    assert running.count.item() == 1


def test_large_updates_in_chunks_equal_small_ones(monkeypatch):
    rows = torch.randn(50, 4)
    valid = torch.rand(50) < 0.7
    whole, chunked = RunningMeanStd((4,)), RunningMeanStd((4,))
    whole.update(rows, valid)
    monkeypatch.setattr("sf_core.model.normalizer._MAX_CHUNK_ELEMENTS", 12)  # three rows at a time
    chunked.update(rows, valid)
    torch.testing.assert_close(chunked.mean, whole.mean)
    torch.testing.assert_close(chunked.var, whole.var)


def test_bytes_are_counted_exactly():
    rows = torch.randint(0, 256, (300, 5), dtype=torch.uint8)
    rows[:, 0] = 255  # the largest sums, and a variance of nothing
    valid = torch.rand(300) < 0.7
    of_bytes, of_numbers = RunningMeanStd((5,)), RunningMeanStd((5,))
    of_bytes.update(rows, valid, subtract=4.0, scale=255.0)
    of_numbers.update((rows.double() - 4) / 255, valid)
    torch.testing.assert_close(of_bytes.mean, of_numbers.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(of_bytes.var, of_numbers.var, rtol=1e-12, atol=1e-14)
    assert torch.equal(of_bytes.count, of_numbers.count)


def test_a_new_normaliser_is_the_identity_within_its_limits():
    x = torch.tensor([-9.0, -1.0, 0.0, 2.5, 6.0])
    # the 1e-5 under the root is all that is left
    torch.testing.assert_close(RunningMeanStd(()).normalize(x), x.clamp(-5, 5), rtol=1e-5, atol=0)


def test_normalising_leaves_its_input_alone_and_does_not_count():
    running = RunningMeanStd((2,))
    for x in (torch.full((1, 2), 3.0), torch.full((1, 2), 3, dtype=torch.uint8), torch.full((1, 2), 3.0).double()):
        before = x.clone()
        assert running.normalize(x).dtype == torch.float32
        running.denormalize(x.float())
        assert torch.equal(x, before)
    assert running.count.item() == 1


def test_float64_observations_are_subtracted_before_they_are_narrowed():
    running = RunningMeanStd(())
    seconds = 1.7e9 + torch.arange(4, dtype=torch.float64) / 100
    running.mean.fill_(1.7e9)
    running.var.fill_(1.0)
    torch.testing.assert_close(running.normalize(seconds), torch.arange(4) / 100, rtol=1e-4, atol=1e-6)


def test_the_forward_pass_sees_statistics_written_by_anybody():
    running = RunningMeanStd((2,))
    x = torch.ones(1, 2)
    running.normalize(x)
    running.mean.fill_(1.0)
    assert running.normalize(x).tolist() == [[0, 0]]
    running.load_state_dict({"mean": torch.tensor([0.0, 1.0]), "var": torch.ones(2), "count": torch.tensor(5.0)})
    assert running.normalize(x)[0, 0] > 0.9
    running.mean = torch.tensor([9.0, 9.0], dtype=torch.float64)
    assert running.normalize(x).tolist() == [[-5, -5]]
    twin = copy.deepcopy(running)
    twin.mean.zero_()
    assert twin.normalize(x)[0, 0] > 0.9
    assert running.normalize(x).tolist() == [[-5, -5]]


def test_statistics_cached_while_acting_can_be_used_with_gradients():
    running = RunningMeanStd((2,))
    with torch.inference_mode():
        running.normalize(torch.ones(1, 2))
    x = torch.ones(1, 2, requires_grad=True)
    running.denormalize(x).sum().backward()
    assert x.grad is not None


def test_statistics_stay_float64_when_the_model_is_narrowed():
    running = RunningMeanStd((2,))
    running.mean.fill_(1 / 3)
    running.half()
    assert running.mean.dtype == torch.float64
    assert running.mean[0].item() == 1 / 3
    buffer = io.BytesIO()
    torch.save(running.state_dict(), buffer)
    assert running.state_dict()["var"].dtype == torch.float64


def test_returns_are_one_number():
    returns = ReturnsNormalizer()
    value = torch.randn(3, 4) * 7 + 100
    returns.update(value, torch.ones(3, 4, dtype=torch.bool))
    assert returns.count.item() == 13
    torch.testing.assert_close(returns.denormalize(returns.normalize(value)), value, rtol=1e-4, atol=1e-3)


SPACE = spaces.Dict(
    {
        "obs": spaces.Box(0, 255, (3, 8, 8), np.uint8),
        "speed.x": spaces.Box(-9, 9, (2,)),
        "kind": spaces.Discrete(4),
        "bits": spaces.MultiBinary(3),
        "action_mask": spaces.MultiBinary(2),
    }
)


def batch():
    return {
        "obs": torch.randint(0, 255, (2, 5, 3, 8, 8), dtype=torch.uint8),
        "speed.x": torch.randn(2, 5, 2),
        "kind": torch.randint(0, 4, (2, 5)),
        "bits": torch.randint(0, 2, (2, 5, 3), dtype=torch.int8),
        "action_mask": torch.randint(0, 2, (2, 5, 2), dtype=torch.int8),
    }


def test_constants_apply_to_the_key_obs_alone(cfg_of):
    normalizer = ObservationNormalizer(SPACE, cfg_of(normalize_input=False, obs_subtract_mean=4.0, obs_scale=2.0))
    x = batch()
    y = normalizer(x)
    torch.testing.assert_close(y["obs"], (x["obs"].float() - 4) / 2)
    assert torch.equal(y["speed.x"], x["speed.x"])
    assert y["bits"].dtype == torch.float32


def test_discrete_leaves_and_masks_pass_through(cfg_of):
    normalizer = ObservationNormalizer(SPACE, cfg_of())
    x = batch()
    normalizer.update(x)
    y = normalizer(x)
    assert y["kind"] is x["kind"]
    assert y["action_mask"] is x["action_mask"]
    assert set(normalizer.normalized_keys) == {"obs", "speed.x", "bits"}


def test_images_come_out_ready_for_convolutions(cfg_of):
    for cfg in (cfg_of(), cfg_of(normalize_input=False), cfg_of(obs_scale=255.0)):
        y = ObservationNormalizer(SPACE, cfg)(batch())
        assert y["obs"].flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("obs_scale", [1.0, 255.0])
def test_observations_are_scaled_then_normalised_per_element(cfg_of, obs_scale):
    normalizer = ObservationNormalizer(SPACE, cfg_of(obs_scale=obs_scale))
    x = batch()
    before = {key: value.clone() for key, value in x.items()}
    normalizer.update(x)
    y = normalizer(x)
    for key, scale in (("obs", obs_scale), ("speed.x", 1.0), ("bits", 1.0)):
        rows = (x[key].double() / scale).flatten(0, 1).numpy()
        mean, var = all_at_once(rows)
        expected = np.clip((rows - mean) / np.sqrt(var + 1e-5), -5, 5)
        np.testing.assert_allclose(y[key].flatten(0, 1), expected, atol=1e-4)
        assert torch.equal(x[key], before[key])


def test_only_the_chosen_keys_are_normalised(cfg_of):
    normalizer = ObservationNormalizer(SPACE, cfg_of(normalize_input_keys=["speed.x"]))
    assert normalizer.normalized_keys == ("speed.x",)
    assert [name for name, _ in normalizer.named_buffers()] == [
        "running.speed%2Ex.mean",
        "running.speed%2Ex.var",
        "running.speed%2Ex.count",
    ]
    with pytest.raises(UsageError, match="'velocity'"):
        ObservationNormalizer(SPACE, cfg_of(normalize_input_keys=["velocity"]))
