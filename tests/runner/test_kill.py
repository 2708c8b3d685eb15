"""A run that is killed at random moments: nothing that was saved is lost, and it ends as if nothing had happened."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from sf_core.learner.checkpoint_folder import read_checkpoint
from sf_core.model.checkpoint_files import find_checkpoints

KILLS = 10
FLAGS = (
    "--env=CartPole-v1",
    "--seed=3",
    "--rollout=8",
    "--batch_size=64",
    "--num_epochs=1",
    "--num_batches_per_epoch=1",
    "--lr_schedule=constant",
    "--num_workers=2",
    "--num_envs_per_worker=4",
    "--encoder_mlp_layers",
    "8",
    "--use_rnn=False",
    "--torch_threads=1",
    "--device=cpu",
    "--save_every_sec=1",
    "--keep_checkpoints=1",
    "--save_milestones_sec=2",
    "--save_best_every_sec=1",
    "--save_best_after=0",
    "--experiment_summaries_interval=1",
)
DATASET = 64


def start(tmp_path, *flags):
    program = "import sys; from sf_core.cli.train import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *FLAGS, f"--train_dir={tmp_path}", *flags]
    with (tmp_path / "output.txt").open("w") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


def output_of(tmp_path):
    return (tmp_path / "output.txt").read_text()


def starts_in(log):
    text = log.read_text() if log.exists() else ""
    return text.count(" Starting ") + text.count(" Continuing ")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["serial", "parallel"])
def test_ten_kills_lose_nothing_that_was_saved(tmp_path, mode):
    rng = random.Random(7)
    flags = (f"--serial_mode={mode == 'serial'}", "--experiment=killed")
    folder = tmp_path / "killed"
    log, checkpoints = folder / "sf_log.txt", folder / "checkpoint_p0"
    newest, best, milestones = -1, -math.inf, set()
    for kill in range(KILLS):
        starts = starts_in(log)
        process = start(tmp_path, *flags)
        while kill % 5 and starts_in(log) == starts:  # the others are killed while they start
            assert process.poll() is None, output_of(tmp_path)
            time.sleep(0.02)
        delay = rng.uniform(0, 5)
        time.sleep(delay)
        assert process.poll() is None, output_of(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        saved = [read_checkpoint(path) for path in find_checkpoints(checkpoints, "latest")]  # all of them are whole
        versions = [checkpoint.policy_version for checkpoint in saved]
        print(f"kill {kill}: after {delay:.2f} s, policy versions {versions}")
        assert max(versions, default=-1) >= newest
        newest = max(versions, default=-1)
        bests = [read_checkpoint(path).facts["best_performance"] for path in find_checkpoints(checkpoints, "best")]
        assert max(bests, default=-math.inf) >= best
        best = max(bests, default=-math.inf)
        kept = [read_checkpoint(path) for path in find_checkpoints(checkpoints / "milestones", "latest")]
        assert milestones <= {checkpoint.path.name for checkpoint in kept}
        milestones = {checkpoint.path.name for checkpoint in kept}
    assert newest > 0
    target = saved[0].env_steps + 20 * DATASET
    assert start(tmp_path, *flags, f"--train_for_env_steps={target}").wait() == 0, output_of(tmp_path)
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["env_steps"]) == ("success", target)
    steps = [json.loads(line)["env_steps"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == target
    print(f"ended at {target} env steps, resumed_exactly={result['resumed_exactly']}")
    assert result["resumed_exactly"] is (mode == "serial")
    if mode == "serial":
        whole = ("--serial_mode=True", "--experiment=whole", f"--train_for_env_steps={target}")
        assert start(tmp_path, *whole).wait() == 0, output_of(tmp_path)
        for file in ("model.safetensors", "optimizer.safetensors", "sampler.safetensors"):
            killed, whole = (
                (tmp_path / name / "checkpoint_p0" / result["checkpoint"] / file).read_bytes()
                for name in ("killed", "whole")
            )
            assert killed == whole, file
