"""Arrays that several mappings see, in the same order and at the same place."""

import multiprocessing

import numpy as np
import pytest

from sf_core.rollout.shared_memory import Arena, SharedFile, check_memory
from sf_core.utils.errors import UsageError


def carve(arena):
    return (
        arena.allocate("flags", (3,), np.dtype(bool)),
        arena.allocate("rows", (2, 5), np.dtype(np.float32)),
        arena.allocate("nothing", (0, 4), np.dtype(np.int64)),
        arena.allocate("scalar", (), np.dtype(np.int64)),
    )


def test_two_mappings_of_one_file_are_the_same_arrays():
    measure = Arena()
    carve(measure)
    # flags at 0 to 3, rows at 64 to 104, nothing at 128, scalar at 128 to 136
    assert measure.num_bytes == 136
    file = SharedFile()
    file.resize(measure.num_bytes)
    flags, rows, nothing, scalar = carve(Arena(file.map(measure.num_bytes)))
    assert not flags.any()
    assert not rows.any()
    assert nothing.shape == (0, 4)
    flags[1], rows[1, 4], scalar[...] = True, 2.5, 7
    other_flags, other_rows, _, other_scalar = carve(Arena(file.map(measure.num_bytes)))
    assert other_flags.tolist() == [False, True, False]
    assert other_rows[1, 4] == 2.5
    assert other_scalar == 7
    file.close()
    assert other_rows[1, 4] == 2.5  # what is mapped stays


WRITER = """
import numpy as np
from sf_core.rollout.shared_memory import Arena


def write_and_hold(file, size, ready, go):
    array = Arena(file.map(size)).allocate("x", (4,), np.dtype(np.int64))
    with file.locked(exclusive=True):
        ready.set()
        go.wait(20)
        array[:] = 5
"""


def test_another_process_writes_under_its_lock(tmp_path, monkeypatch):
    # a child started by spawn imports the function by its module's name, and gets the paths this process has
    (tmp_path / "writer_of_shared_memory.py").write_text(WRITER)
    monkeypatch.syspath_prepend(tmp_path)
    from writer_of_shared_memory import write_and_hold

    file, size = SharedFile(), 32
    file.resize(size)
    array = Arena(file.map(size)).allocate("x", (4,), np.dtype(np.int64))
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=write_and_hold, args=(file, size, ready, go))
    process.start()
    assert ready.wait(30)
    assert array.tolist() == [0, 0, 0, 0]
    go.set()
    with file.locked(exclusive=False):  # not before the other one has let go
        assert array.tolist() == [5, 5, 5, 5]
    process.join()
    assert process.exitcode == 0


def test_more_than_there_is_gets_refused_with_the_flags_to_turn():
    check_memory(1)
    with pytest.raises(UsageError, match=r"need 1048576\.0 GB of memory.*--num_envs_per_worker"):
        check_memory(2**50)
