"""Parallel runs for tests: in this process, or as a command of its own whose processes can be watched and killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sf_core import ExperimentStatus, parse_full_cfg, parse_sf_args
from sf_core.train import make_runner

SMALL = (
    "--env=CartPole-v1",
    "--seed=3",
    "--rollout=8",
    "--batch_size=64",
    "--num_epochs=1",
    "--num_batches_per_epoch=1",
    "--encoder_mlp_layers",
    "16",
    "--num_workers=2",
    "--num_envs_per_worker=4",
    "--torch_threads=1",
    "--device=cpu",
    "--experiment=exp",
)
DATASET = 64
ROLLOUT = 8


def runner_of(tmp_path, *flags):
    argv = [*SMALL, f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv)
    return make_runner(parse_full_cfg(parser, argv))


def result_of(tmp_path):
    return json.loads((tmp_path / "exp" / "result.json").read_text())


def watch(slots, buffers):
    """Copies of every rollout the learner takes, and proof that nobody writes to it until it is given back."""
    arrays = {path: array for path, array in buffers.arrays().items() if not path.startswith("final_observation")}
    rollouts, taken_now = [], {}
    take, release = slots.take, slots.release

    def copy_of(slot):
        return {path: array[slot].copy() for path, array in arrays.items()}

    def watched_take(num_slots):
        taken = take(num_slots)
        for slot in taken:
            taken_now[int(slot)] = copy_of(slot)
            rollouts.append(taken_now[int(slot)])
        return taken

    def watched_release(given_back):
        for slot in given_back:
            before, now = taken_now.pop(int(slot)), copy_of(slot)
            for path, array in before.items():
                np.testing.assert_array_equal(array, now[path], err_msg=f"{path} changed while the learner had it")
        release(given_back)

    slots.take, slots.release = watched_take, watched_release
    return rollouts


def collected(tmp_path, *flags):
    """The runner after its run, its rollouts, and the scalars of its training iterations."""
    runner = runner_of(tmp_path, *flags)
    parts = runner.parts
    rollouts = watch(runner.slots if hasattr(runner, "slots") else parts.slots, parts.buffers)
    scalars, trained = [], runner.records.trained

    def note(numbers, skipped, samples):
        scalars.append(numbers)
        trained(numbers, skipped, samples)

    runner.records.trained = note
    assert runner.run() is ExperimentStatus.SUCCESS
    return runner, rollouts, scalars


def assert_lag_within(bound, scalars):
    """The policy lag of every iteration, but for stragglers: on a loaded machine workers are not of equal speed."""
    lags = [numbers["train/version_diff_max"] for numbers in scalars]
    assert np.mean(np.asarray(lags) <= bound) >= 0.75, lags


def titles(pid):
    """Title -> process id of every descendant of ours that is not a zombie."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, _, rest = stat.read_text().partition(" (")
            state, parent = rest.rpartition(") ")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(number))
    found, queue = {}, [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child)
            with contextlib.suppress(OSError):
                title = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
                found[title] = child
    return found


class Command:
    """`sf-train` as a process of its own."""

    def __init__(self, tmp_path, *flags, path=""):
        self.tmp_path = tmp_path
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}
        self.output = tmp_path / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sf_core", "train", *SMALL, f"--train_dir={tmp_path}", *flags],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.seen = {}  # every process of ours that was ever there

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def titles(self):
        found = titles(self.process.pid)
        self.seen.update({pid: title for title, pid in found.items()})
        return found

    def until(self, condition, what, patience_s=120):
        deadline = time.monotonic() + patience_s
        while not condition():
            late = time.monotonic() > deadline or self.process.poll() is not None
            assert not late, f"{what}\n{self.output.read_text()}"
            time.sleep(0.1)

    def until_it_trains(self):
        metrics, said = (self.tmp_path / "exp" / name for name in ("metrics.jsonl", "sf_log.txt"))
        self.until(
            lambda: self.titles() and metrics.exists() and '"policy_version": ' in metrics.read_text(),
            "it never trained",
        )
        # a worker that dies before its first rollout ends the run
        self.until(lambda: "Every rollout worker has collected a rollout" in said.read_text(), "a worker did nothing")
        return self.titles()

    def wait(self, patience_s=20):
        """Exit code, and the titles of processes that outlived the command by more than a second."""
        code = self.process.wait(patience_s)
        deadline = time.monotonic() + 5
        while (alive := [title for pid, title in self.seen.items() if _runs(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return code, alive


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
