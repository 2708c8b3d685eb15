"""What crosses over stays what it is; staging is tried on the CPU too, where it only costs a copy."""

import numpy as np
import pytest
import torch

from sf_core.rollout.host_transfer import HostTransfer

ARRAYS = {
    "image": np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5),
    "flag": np.array([True, False, True]),
    "count": np.array([[1, 2], [3, 4]]),
    "value": np.linspace(0, 1, 7, dtype=np.float32),
    "nothing": np.zeros((3, 0), np.float32),
    "every other": np.arange(10.0)[::2],
}


def devices():
    yield pytest.param("cpu", False, id="cpu")
    yield pytest.param("cpu", True, id="cpu, staged")
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    yield pytest.param("cuda", None, id="cuda", marks=missing)


@pytest.mark.parametrize(("device", "staged"), list(devices()))
def test_there_and_back_nothing_changes(device, staged):
    transfer = HostTransfer(torch.device(device), staged=staged)
    for _ in range(2):
        tensors = {name: transfer.to_device(name, array) for name, array in ARRAYS.items()}
        for name, array in transfer.to_host(tensors).items():
            assert tensors[name].device.type == device
            assert array.dtype == ARRAYS[name].dtype
            np.testing.assert_array_equal(array, ARRAYS[name])


@pytest.mark.parametrize(("device", "staged"), list(devices())[1:])
def test_memory_is_used_again_and_earlier_tensors_keep_their_numbers(device, staged):
    transfer = HostTransfer(torch.device(device), staged=staged)
    tensors = [transfer.to_device("x", np.full(size, size, np.float32)) for size in (5, 3, 8, 2)]
    assert [x.tolist() for x in tensors] == [[float(size)] * size for size in (5, 3, 8, 2)]
    array = np.ones(4, np.float32)
    tensor = transfer.to_device("x", array)
    array[:] = 7
    assert tensor.tolist() == [1.0] * 4


def test_on_the_cpu_nothing_is_copied():
    array = np.ones((4, 3), np.float32)
    transfer = HostTransfer(torch.device("cpu"))
    tensor = transfer.to_device("x", array[1:3])
    assert tensor.data_ptr() == array[1:3].ctypes.data
    assert np.shares_memory(transfer.to_host({"x": tensor})["x"], array)
