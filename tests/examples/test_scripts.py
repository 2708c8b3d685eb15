"""The example scripts, run as their users run them."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script, tmp_path, *flags, experiment="exp", parallel=False, path="", **variables):
    """A script, or with the name of a module `python -m` of it; returns its result and its configuration."""
    command = [
        sys.executable,
        *([str(EXAMPLES / script)] if script.endswith(".py") else ["-m", *script.split()]),
        *(["--num_workers=2", "--num_envs_per_worker=2"] if parallel else ["--serial_mode=True"]),
        "--seed=1",
        "--torch_threads=1",
        "--device=cpu",
        f"--train_dir={tmp_path}",
        f"--experiment={experiment}",
        *flags,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env={**environment, **variables})
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


QUICK = ("--rollout=16", "--batch_size=64", "--train_for_env_steps=64", "--num_epochs=1", "--use_rnn=True")
ENV = ("train_custom_env.py", "--env=custom_env_name", "--rnn_size=8", "--encoder_conv_mlp_layers", "8")
MODEL = ("train_custom_model.py", "--env=CartPole-v1")
TEAM = ("train_custom_multi_env.py", "--env=matching_game", "--rnn_size=8")


@pytest.mark.parametrize(
    ("method", "script"),
    [("spawn", ENV), ("spawn", MODEL), ("spawn", TEAM), ("forkserver", ENV), ("forkserver", (*MODEL, "--parts"))],
    ids=lambda value: value if isinstance(value, str) else value[0].removeprefix("train_custom_"),
)
def test_scripts_run_in_processes_of_their_own(tmp_path, method, script):
    result, config = run(*script[:1], tmp_path, *script[1:], *QUICK, parallel=True, SF_START_METHOD=method)
    assert result["status"] == "success"
    assert result["env_steps"] >= 64
    assert config["values"]["serial_mode"] is False


def installed(tmp_path):
    """A folder with what the wheel of the plugin package holds, as installed packages lie in one."""
    project = EXAMPLES / "templates_plugin"
    toml = tomllib.loads((project / "pyproject.toml").read_text())
    site = tmp_path / "site"
    shutil.copytree(project / "src", site)
    for source, target in toml["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        shutil.copy(project / source, site / target)
    metadata = site / "templates_plugin-0.1.0.dist-info"
    metadata.mkdir()
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: templates-plugin\nVersion: 0.1.0\n")
    points = [f"{name} = {value}" for name, value in toml["project"]["entry-points"]["sf_core.plugins"].items()]
    metadata.joinpath("entry_points.txt").write_text("\n".join(["[sf_core.plugins]", *points]))
    return str(site)


def test_the_same_files_work_as_a_plugin_package(tmp_path):
    site = installed(tmp_path)
    small = QUICK[:-1]
    _, config = run(
        "sf_core train",
        tmp_path,
        "--env=custom_env_name",
        "--custom_argument=double",
        "--use_rnn=False",
        "--encoder_conv_mlp_layers",
        "8",
        *small,
        experiment="env",
        path=site,
    )
    assert (config["values"]["obs_scale"], config["origins"]["obs_scale"]) == (255.0, "env")
    team = ("--env=matching_game", "--actor_critic=custom_actor_critic", "--use_rnn=True", *small)
    run("sf_core train", tmp_path, *team, experiment="team", parallel=True, path=site)
    plan = json.loads((tmp_path / "team" / "plan.json").read_text())
    assert plan["model"]["actor_critic"]["plugin"] == plan["env"]["plugin"] == "templates"
    assert plan["plugins"]["templates"]["distribution"] == "templates-plugin"
