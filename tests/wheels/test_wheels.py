"""What people get with `pip install`: contents of the wheels, and a third-party package in a fresh environment."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SMALL_RUN = ("--env=my_maze", "--maze_size=3", "--serial_mode=True", "--device=cpu", "--seed=1", "--num_workers=1")


@pytest.mark.parametrize("package", ["sf_core", "sf_plugins_atari", "sf_plugins_vizdoom", "my_env_plugin"])
def test_a_wheel_holds_one_package_and_its_metadata(wheels, package):
    names = zipfile.ZipFile(wheels[package]).namelist()
    tops = {name.partition("/")[0] for name in names}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {package, metadata}
    assert f"{package}/__init__.py" in names
    assert f"{metadata}/entry_points.txt" in names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("package", ["sf_plugins_atari", "sf_plugins_vizdoom", "my_env_plugin"])
def test_a_plugins_package_module_is_empty(wheels, package):
    # whatever stood there would be imported by every sf-list, beside the thin plugin module
    text = zipfile.ZipFile(wheels[package]).read(f"{package}/__init__.py").decode()
    code = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    assert code == []


@pytest.fixture
def with_example(fresh_environment, wheels) -> Iterator[None]:
    """The example's wheel is installed beside the core's."""
    fresh_environment.run("python", "-m", "pip", "install", "--no-index", wheels["my_env_plugin"])
    yield
    fresh_environment.run("python", "-m", "pip", "uninstall", "--yes", "my-env-plugin")


def listing(environment) -> dict[str, list[dict[str, object]]]:
    return json.loads(environment.run("sf-list", "all", "--json").stdout)


def test_the_core_alone_has_no_other_plugin(fresh_environment):
    assert [plugin["name"] for plugin in listing(fresh_environment)["plugins"]] == ["core"]
    fresh_environment.run("sf-list", "--check")


def test_installing_the_example_is_all_it_takes(fresh_environment, with_example, tmp_path):
    environment = fresh_environment
    before = environment.run("sf-train", "--env=CartPole-v1", "--print_config").stdout

    found = listing(environment)
    (plugin,) = (plugin for plugin in found["plugins"] if plugin["name"] == "my_env")
    assert {key: plugin[key] for key in ("distribution", "version", "status", "problems", "entry_point")} == {
        "distribution": "my-env-plugin",
        "version": "0.1.0",
        "status": "ok",
        "problems": [],
        "entry_point": "my_env_plugin.plugin",
    }
    offered = {kind: [e["name"] for e in found[kind] if e["plugin"] == "my_env"] for kind in found if kind != "schema"}
    assert {kind: names for kind, names in offered.items() if names and kind not in ("plugins", "args", "hooks")} == {
        "envs": ["my_maze"],
        "encoders": ["my_maze_cnn"],
        "observers": ["my_maze_goal"],
    }
    environment.run("sf-list", "--check")

    help_text = environment.run("sf-train", "--env=my_maze", "--observers", "my_maze_goal", "--help").stdout
    for flag in ("--maze_size", "--maze_channels", "--maze_goal"):
        assert flag in help_text
    assert "--maze_size" not in environment.run("sf-train", "--env=CartPole-v1", "--help").stdout
    # a run that does not name the plugin is what it was
    assert environment.run("sf-train", "--env=CartPole-v1", "--print_config").stdout == before

    refused = environment.run("sf-train", "--env=my_maze", "--maze_size=1", f"--train_dir={tmp_path}", code=2)
    assert "maze_size=1 leaves no room" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_example_trains_with_its_encoder_and_observer_and_is_evaluated(fresh_environment, with_example, tmp_path):
    environment = fresh_environment
    run = (f"--train_dir={tmp_path}", "--experiment=maze")
    # any share of solved mazes will do, so the observer ends the run when 100 episodes are over, long before the budget
    environment.run(
        "sf-train", *SMALL_RUN, *run, "--observers", "my_maze_goal", "--maze_goal=0", "--train_for_env_steps=200_000"
    )
    folder = tmp_path / "maze"
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "success"
    assert result["reason"].endswith("of the last 100 mazes were solved")
    assert result["episodes"] >= 100
    assert 0 < result["env_steps"] < 200_000

    plan = json.loads((folder / "plan.json").read_text())
    assert plan["plugins"]["my_env"] == {"distribution": "my-env-plugin", "version": "0.1.0"}
    assert plan["model"]["encoder"]["name"] == "my_maze_cnn"
    assert [observer["name"] for observer in plan["observers"]] == ["my_maze_goal"]

    last_line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert 0 <= last_line["my_maze/solved_share"] <= 1  # from the observer
    assert 0 <= last_line["maze_solved"] <= 1  # from the env

    done = environment.run("sf-eval", *run, "--episodes=4", "--json")
    (line,) = done.stdout.splitlines()
    evaluation = json.loads(line)
    assert evaluation["episodes"] == 4
    assert -0.36 <= evaluation["reward_min"] <= evaluation["reward_max"] <= 1.0  # 4 * 3 * 3 steps of -0.01 at most


def test_the_examples_own_tests_pass(fresh_environment, with_example):
    folder = ROOT / "examples" / "my_env_plugin"
    command = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests")
    done = fresh_environment.run(*command, cwd=folder)
    assert "failed" not in done.stdout


def test_uninstalling_leaves_no_trace_and_says_what_is_missing(fresh_environment, wheels, tmp_path):
    environment = fresh_environment
    empty = environment.run("sf-list", "all", "--json").stdout
    environment.run("python", "-m", "pip", "install", "--no-index", wheels["my_env_plugin"])
    assert "my_maze" in environment.run("sf-list", "all", "--json").stdout
    environment.run("python", "-m", "pip", "uninstall", "--yes", "my-env-plugin")
    assert without_times(environment.run("sf-list", "all", "--json").stdout) == without_times(empty)
    refused = environment.run("sf-train", "--env=my_maze", f"--train_dir={tmp_path}", code=2)
    assert "unknown env 'my_maze'" in refused.stderr


@pytest.mark.parametrize(
    ("package", "env", "module"),
    [("sf_plugins_atari", "atari_pong", "ale_py"), ("sf_plugins_vizdoom", "doom_basic", "vizdoom")],
)
def test_a_simulators_wheel_beside_the_core_is_all_it_takes_and_leaves_no_trace(
    fresh_environment, wheels, package, env, module, tmp_path, monkeypatch
):
    pytest.importorskip(module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no_maps_here"))
    environment = fresh_environment
    distribution = package.replace("_", "-")
    empty = environment.run("sf-list", "all", "--json").stdout
    environment.run("python", "-m", "pip", "install", "--no-index", "--no-deps", wheels[package])
    listed = environment.run("sf-list", "envs", env).stdout
    assert env in listed
    assert "needs" not in listed
    if package == "sf_plugins_vizdoom":
        assert "needs battle.wad" in environment.run("sf-list", "envs", "doom_battle").stdout
    options = environment.run("sf-train", f"--env={env}", "--print_config").stdout
    assert env in options
    environment.run("python", "-m", "pip", "uninstall", "--yes", distribution)
    assert without_times(environment.run("sf-list", "all", "--json").stdout) == without_times(empty)


def without_times(text: str) -> object:
    found = json.loads(text)
    for plugin in found["plugins"]:
        plugin.pop("load_ms")
    return found
