"""A run that is measured is watched, ended for certain, and says why it failed."""

import os
import subprocess
import sys
import time

import pytest
from sf_bench.contenders import Contender
from sf_bench.measure import measure
from sf_bench.processes import descendants, end, own_memory

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

TRAINS = """
import time
from sf_bench.progress import ProgressLog
log, steps = ProgressLog.from_environment(), 0
while not log.iteration(steps):
    steps += 50
    time.sleep(0.01)
log.facts(parameters=12, gradient_steps=steps / 25, agent_steps=steps)
"""


def contender(code):
    return Contender("peer", "only", (sys.executable, "-c", code), folder_flags=False)


def test_a_run_is_read_between_its_iterations():
    found = measure(contender(TRAINS), seconds=0.3, warmup_s=0.1, patience_s=30)
    assert found.error == ""
    assert found.seconds >= 0.3
    assert 0 < found.rate <= 5000  # 50 steps in at least 10 ms
    assert found.rate == pytest.approx(50 * found.iterations / found.seconds)
    assert (found.parameters, found.gradient_steps_per_1000) == (12, 40.0)


def test_a_run_that_fails_says_why():
    found = measure(contender("raise SystemExit('no such env')"), seconds=0.1, warmup_s=0, patience_s=30)
    assert found.rate is None
    assert found.error == "exit code 1\nno such env"
    assert found.to_json()["error"] == found.error


def test_a_run_that_hangs_is_ended():
    found = measure(contender("import time; time.sleep(600)"), seconds=0.1, warmup_s=0, patience_s=0.5)
    assert found.rate is None
    assert found.error.startswith("took too long")


@linux
def test_the_whole_session_ends_with_a_run(monkeypatch):
    monkeypatch.setattr("sf_bench.processes._PATIENCE_S", 0.5)
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('up', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    deadline = time.monotonic() + 5
    found = []  # a process that has just begun has no command line yet
    while time.monotonic() < deadline and not found:
        found = [pid for pid, line in descendants(process.pid).items() if line == "sleep 600"]
    end(process)
    process.stdout.close()
    (sleeper,) = found
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(sleeper):
        time.sleep(0.02)
    assert not _runs(sleeper)


@linux
def test_shared_memory_is_not_counted():
    import mmap

    before = own_memory(os.getpid())
    size = 64 * 2**20
    shared, own = mmap.mmap(-1, size), bytearray(size)
    shared.write(b"x" * size)
    own[:] = b"x" * size
    grown = own_memory(os.getpid()) - before
    assert 0.8 * size / 1e6 < grown < 1.6 * size / 1e6  # the bytearray, not the mapping
    shared.close()


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
