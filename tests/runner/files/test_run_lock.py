"""Who trains in a folder, as told by the system and not by what a process managed to write."""

import json
import os
import signal
import subprocess
import sys

import pytest

from sf_core.runner.files import run_lock
from sf_core.runner.files.run_folder import RunFolder
from sf_core.runner.files.run_lock import RunLock, holder_of, trace_of
from sf_core.utils.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from sf_core.runner.files.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock on `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_orderly_end_leaves_no_trace_of_a_run(tmp_path):
    lock = RunLock(tmp_path)
    assert trace_of(tmp_path) == "ended"
    assert lock.acquire()
    assert trace_of(tmp_path) == "running"
    assert holder_of(tmp_path)["pid"] == os.getpid()
    lock.release()
    lock.release()
    assert trace_of(tmp_path) == "ended"
    assert holder_of(tmp_path) == {}


def test_a_killed_process_is_not_running_and_its_folder_can_be_taken(tmp_path, other_process):
    assert trace_of(tmp_path) == "running"
    assert not RunLock(tmp_path).acquire()
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert trace_of(tmp_path) == "died"
    assert holder_of(tmp_path)["pid"] == other_process.pid
    lock = RunLock(tmp_path)
    assert lock.acquire()
    lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_an_env_has_forked_does_not_keep_the_folder(tmp_path):
    lock = RunLock(tmp_path)
    assert lock.acquire()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(there, b"up")
        signal.pause()
    try:
        assert os.read(here, 2) == b"up"
        assert trace_of(tmp_path) == "running"  # the child let go of it, not the run
        lock._file.close()  # as when the run is killed
        assert trace_of(tmp_path) == "died"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_second_process_is_kept_out_of_a_run_and_told_who_is_in(tmp_path, other_process):
    folder = RunFolder(tmp_path.parent, tmp_path.name)
    for attempt in (folder.check, lambda: folder.prepare("overwrite"), lambda: folder.prepare("restart")):
        with pytest.raises(UsageError, match=f"is being trained by process {other_process.pid}"):
            attempt()
    assert tmp_path.exists()


def test_what_a_process_killed_at_once_left_behind_does_not_block_the_name(tmp_path):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    (folder.path / run_lock.FILE_NAME).write_text(json.dumps({"pid": 1, "host": "gone"}))
    folder.prepare("resume")
    folder.release()


def test_where_the_file_system_has_no_locks_recent_metrics_are_the_sign_of_life(tmp_path, monkeypatch):
    def unsupported(*args):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unsupported)
    lock = RunLock(tmp_path)
    assert lock.acquire()  # nobody is kept out
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("{}\n")
    assert trace_of(tmp_path) == "running"
    for path in (metrics, tmp_path / run_lock.FILE_NAME):
        os.utime(path, (0, 0))
    assert trace_of(tmp_path) == "died"
    lock.release()
    assert trace_of(tmp_path) == "ended"
