"""Freed memory stays with the process where the C library is glibc."""

import os
import platform
import subprocess
import sys

import pytest

PROBE = """
import resource, sys
from sf_core.utils.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def faults():
    for _ in range(20):
        bytearray(64 * 2**20)  # zeroed, so that every page is touched
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = faults()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_large_blocks_are_not_mapped_again():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def page_faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, how], env=environment, check=True, capture_output=True, text=True
        )
        return int(done.stdout)

    assert page_faults("keep") < page_faults("return") / 10
