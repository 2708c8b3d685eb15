"""Training beside plugins that break in every way, and plugins that a run does not name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DISTS = Path(__file__).parents[1] / "plugins" / "dists"
COMMON = ("--serial_mode=True", "--seed=5", "--torch_threads=1", "--experiment=exp", "--device=cpu")
SMALL = ("--rollout=8", "--batch_size=64", "--num_epochs=1", "--num_batches_per_epoch=1", "--train_for_env_steps=128")


def sf_train(tmp_path, *flags, dists):
    path = [str(DISTS)] if dists else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-m", "sf_core", "train", *COMMON, *SMALL, f"--train_dir={tmp_path}", *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "flags",
    [("--env=grid_walk", "--grid_size=4"), ("--env=arcade_pong",), ("--env=doom_plain",)],
    ids=["grid_walk", "arcade_pong", "doom_plain"],
)
def test_good_envs_train_beside_five_broken_plugins(tmp_path, flags):
    done = sf_train(tmp_path, *flags, dists=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert result["status"] == "success"
    assert result["agent_steps"] >= 128


def test_installing_plugins_changes_nothing_in_a_run_that_does_not_name_them(tmp_path):
    """Same configuration with its origins, same weights, same actions drawn: bit for bit."""
    folders = {dists: tmp_path / str(dists) for dists in (False, True)}
    for dists, folder in folders.items():
        done = sf_train(folder, "--env=CartPole-v1", dists=dists)
        assert done.returncode == 0, done.stderr
    without, beside = (folder / "exp" for folder in folders.values())

    def config(run):
        saved = json.loads((run / "config.json").read_text())
        saved["values"].pop("train_dir")
        return saved

    assert config(without) == config(beside)
    (one,), (other,) = ((run / "checkpoint_p0").iterdir() for run in (without, beside))
    # the weights after two updates, and the state of the generator that drew every action so far
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    states = [json.loads((path / "checkpoint.json").read_text())["random_state"]["generators"] for path in (one, other)]
    assert states[0] == states[1]
    assert "actions" in states[0]
