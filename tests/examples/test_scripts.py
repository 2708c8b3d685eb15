"""The example scripts, run as their users run them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script, tmp_path, *flags, experiment="exp"):
    command = [
        sys.executable,
        str(EXAMPLES / script),
        "--serial_mode=True",
        "--seed=1",
        "--torch_threads=1",
        "--device=cpu",
        f"--train_dir={tmp_path}",
        f"--experiment={experiment}",
        *flags,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / experiment
    return json.loads((folder / "result.json").read_text()), json.loads((folder / "config.json").read_text())


def test_custom_env_learns_with_its_own_argument_and_defaults(tmp_path):
    result, config = run(
        "train_custom_env.py",
        tmp_path,
        "--env=custom_env_name",
        "--custom_argument=double",
        "--train_for_env_steps=12000",
        "--use_rnn=False",
        "--rollout=16",
        "--batch_size=512",
        "--num_epochs=2",
        "--learning_rate=0.001",
        "--encoder_conv_mlp_layers",
        "64",
        "--normalize_input=False",
    )
    assert result["reward_mean"] > 24  # 16 answers worth 2 each; guessing earns 16
    assert config["origins"]["obs_scale"] == "script"
    assert config["origins"]["learning_rate"] == "cli"
    assert config["values"]["custom_argument"] == "double"


@pytest.mark.parametrize("parts", [True, False], ids=["parts", "whole actor-critic"])
@pytest.mark.parametrize("memory", [True, False], ids=["recurrent", "not recurrent"])
def test_custom_models_train_a_policy_that_balances_longer_than_chance(tmp_path, parts, memory):
    result, _ = run(
        "train_custom_model.py",
        tmp_path,
        "--env=CartPole-v1",
        f"--use_rnn={memory}",
        f"--recurrence={8 if memory else 1}",
        "--rollout=32",
        "--num_epochs=4",
        "--learning_rate=0.002",
        "--train_for_env_steps=16000",
        *(["--parts"] if parts else []),
    )
    assert result["reward_mean"] > 35  # random actions last about 22 steps
    plan = json.loads((tmp_path / "exp" / "plan.json").read_text())["model"]
    used = plan["encoder"]["name"] if parts else plan["actor_critic"]["name"]
    assert used == ("CustomEncoder" if parts else "CustomActorCritic")


def test_agents_of_one_env_learn_to_match(tmp_path):
    result, _ = run("train_custom_multi_env.py", tmp_path, "--env=matching_game", "--train_for_env_steps=25000")
    assert result["reward_mean"] > 6  # of 10; guessing earns 10/9
    assert result["approximate_bootstraps"] == 0  # these episodes terminate
    line = json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["matched_last"] > 0.5
