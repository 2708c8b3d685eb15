"""Memory that several processes see at once, without a name.

In: sizes, one array after the other. Out: numpy arrays that lie in every process that maps the same file and asks for
the same arrays in the same order. Not known here: what the arrays mean.

The file is anonymous (`memfd` on Linux, which `/dev/shm` does not limit; an unlinked temporary file elsewhere), so
nothing can stay behind: when the last process that holds it is gone, however it went, the memory is, too. It travels to
a process while that process is being started, and may be given its size later.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import reduction
from typing import Any

import numpy as np

from sf_core.utils.errors import UsageError
from sf_core.utils.memory import free_bytes

_ALIGNMENT = 64  # bytes: a cache line, so that no two arrays share one


class SharedFile:
    """One anonymous file in memory. Pickles only while a process is being started."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _create() if descriptor is None else descriptor

    def map(self, num_bytes: int) -> mmap.mmap:
        """The first `num_bytes` of the file, which must be that large by now (`resize`)."""
        return mmap.mmap(self.descriptor, num_bytes)

    def resize(self, num_bytes: int) -> None:
        """Set the size. New bytes are zero."""
        os.ftruncate(self.descriptor, num_bytes)

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the file's lock, shared or alone. A process that dies lets go of it."""
        import fcntl  # not on Windows, where runs are serial

        # record locks belong to the process; those of flock() would be shared by everyone who inherited the file
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; mapped memory stays until its arrays are gone."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (reduction.DupFd(self.descriptor),)


class Arena:
    """Hands out one array after the other from a mapped file; without one it only measures.

    Attributes:
        num_bytes: end of the last array.
    """

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory
        self.num_bytes = 0

    def allocate(self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """The next array: zero when the file is new, whatever the others wrote after that."""
        dtype = np.dtype(dtype)
        start = -(-self.num_bytes // _ALIGNMENT) * _ALIGNMENT
        count = int(np.prod(shape, dtype=np.int64))
        self.num_bytes = start + count * dtype.itemsize
        if self._memory is None or count == 0:
            return np.zeros((0,) if count else shape, dtype)
        return np.frombuffer(self._memory, dtype, count, start).reshape(shape)


def check_memory(num_bytes: int) -> None:
    """Refuse what does not fit, before the system ends some process for it.

    Raises:
        UsageError: names the sizes and the flags that decide them.
    """
    free = free_bytes()
    if free is not None and num_bytes > free:
        raise UsageError(
            f"the rollouts of this run need {num_bytes / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free; "
            "lower --num_workers, --num_envs_per_worker, --batch_size or --num_batches_to_accumulate."
        )


def _create() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("sf_core", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp(prefix="sf_core_")
    os.unlink(path)
    return descriptor


def _attach(descriptor: Any) -> SharedFile:
    return SharedFile(descriptor.detach())
