"""What a child process imports when it makes an env from a plan, for every way to start a run (B5, B15.3)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sf_core

ROOT = Path(sf_core.__file__).parent.parent
HERE = Path(__file__).parent

CONSOLE_SCRIPT = """
import sys
from sf_core._entry import sf_train
if __name__ == "__main__":
    import process_probe
    process_probe.drive({env!r}, {requests!r})
"""

# What multiprocessing sends to children of `python -m sf_core` is the name of this module.
MODULE = """
import importlib, sys
if __name__ == "__main__":
    sys.modules["__main__"] = importlib.import_module("sf_core.__main__")
    import process_probe
    process_probe.drive({env!r}, {requests!r})
"""

SCRIPT_ENV = """
from sf_core import Arg, register_env

@register_env("scripted", args=(Arg("--maze_size", int, 16),))
def make_scripted(full_env_name, cfg, env_config, render_mode=None):
    from fixture_grid.env import Corridor
    return Corridor(cfg.grid_size, render_mode)
"""

USER_SCRIPT = (
    SCRIPT_ENV
    + """
if __name__ == "__main__":
    import process_probe
    process_probe.drive("scripted")
"""
)


def run(tmp_path, source):
    path = tmp_path / "main.py"
    path.write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SF_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, HERE, HERE / "dists")))
    result = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("start", ["console script", "python -m sf_core", "user script", "-p file.py"])
def test_a_child_imports_the_owner_of_its_env_and_nothing_else_of_the_plugin_system(tmp_path, start):
    if start == "user script":
        answer = run(tmp_path, USER_SCRIPT)
        assert answer["plan"] == "__main__:make_scripted"
    elif start == "-p file.py":
        file = tmp_path / "my_env.py"
        file.write_text(SCRIPT_ENV)
        answer = run(tmp_path, CONSOLE_SCRIPT.format(env="scripted", requests=(str(file),)))
        assert answer["plan"] == f"file:{file}:make_scripted"
    else:
        main = MODULE if start.startswith("python") else CONSOLE_SCRIPT
        answer = run(tmp_path, main.format(env="grid_walk", requests=()))
        assert answer["plan"] == "fixture_grid.env:make_grid"
    for method, modules in answer["children"].items():
        assert isinstance(modules, list), (method, modules)
        assert "fixture_grid.env" in modules
        forbidden = {"pluggy", "importlib.metadata", "importlib_metadata", "torch", "argparse"} & set(modules)
        assert not forbidden, (method, forbidden)
        foreign = {name for name in modules if name.startswith(("fixture_", "sf_plugins_"))}
        assert foreign == {"fixture_grid", "fixture_grid.env"}
        plugin_system = {name for name in modules if name.startswith("sf_core.plugins.")}
        allowed = {"sf_core.plugins.plan", "sf_core.plugins.refs", "sf_core.plugins.specs", "sf_core.plugins.script"}
        assert plugin_system <= allowed, (method, plugin_system - allowed)


@pytest.mark.parametrize(
    ("env", "factory"),
    [("py:fixture_grid.env:make_grid", "make_from_function"), ("gym:CartPole-v1", "make_gymnasium_env")],
)
def test_envs_without_registration_work_in_children(tmp_path, env, factory):
    answer = run(tmp_path, CONSOLE_SCRIPT.format(env=env, requests=()))
    assert answer["plan"].endswith(factory)
    for modules in answer["children"].values():
        assert isinstance(modules, list), modules
        assert not {"pluggy", "importlib.metadata", "torch"} & set(modules)


def test_a_failure_in_a_child_is_attributed(tmp_path):
    answer = run(tmp_path, CONSOLE_SCRIPT.format(env="py:fixture_grid.env:absent_function", requests=()))
    for sentence in answer["children"].values():
        assert isinstance(sentence, str)
        assert "absent_function" in sentence
