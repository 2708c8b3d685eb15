"""Which GPU the envs of a worker see."""

import pytest

from sf_core.runner.processes.crew import gpu_of
from sf_core.utils.errors import UsageError


def test_workers_take_the_gpus_in_turns():
    assert [gpu_of(worker, [1, 3], None) for worker in range(4)] == ["1", "3", "1", "3"]


def test_gpus_are_counted_among_those_the_run_sees():
    assert [gpu_of(worker, [0, 2], "GPU-a,GPU-b, MIG-c") for worker in range(2)] == ["GPU-a", "MIG-c"]


def test_without_the_flag_workers_see_what_the_run_sees():
    assert gpu_of(0, [], "0,1") is None


def test_a_gpu_that_the_run_does_not_see_is_refused():
    with pytest.raises(UsageError, match="names GPU 1, but CUDA_VISIBLE_DEVICES=5 lets this run see 1"):
        gpu_of(1, [0, 1], "5")
