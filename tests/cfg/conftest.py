"""An empty folder, no installed plugins, nothing registered; and a plugin file that offers one of everything."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sf_core.cfg import arguments
from sf_core.cfg.config import Config
from sf_core.plugins.script import forget_registrations

PLUGIN = """
from sf_core import Arg, EncoderSpec, EnvSpec, Preset, WrapperSpec, hookimpl

@hookimpl
def sf_environments():
    yield EnvSpec(
        name="maze", factory="maze.env:make",
        args=(Arg("--maze_size", int, 16, "side"), Arg("--fog", bool, False, "fog")),
        defaults={"gamma": 0.9, "encoder": "maze_cnn", "batch_size": 512, "maze_depth": 3, "maze_size": 20},
    )
    yield EnvSpec(name="hall", factory="maze.env:make", args=(Arg("--maze_size", int, 99, "length"),))
    yield EnvSpec(name="misspelt", factory="maze.env:make", defaults={"gama": 0.9})
    yield EnvSpec(name="mistyped", factory="maze.env:make", defaults={"gamma": "high"})
    yield EnvSpec(name="greedy", factory="maze.env:make", args=(Arg("--gamma", float, 0.5, "mine"),))
    yield EnvSpec(name="absent", factory="maze.env:make", requires={"no_such_module_xyz": "xyz-package"})

@hookimpl
def sf_encoders():
    yield EncoderSpec(name="maze_cnn", factory="maze.model:CNN", args=(Arg("--maze_depth", int, 1, "depth"),),
                      defaults={"rollout": 16, "gamma": 0.8})
    yield EncoderSpec(name="same_flag", factory="maze.model:CNN", args=(Arg("--maze_size", int, 16, "side"),))
    yield EncoderSpec(name="other_flag", factory="maze.model:CNN", args=(Arg("--maze_size", int, 8, "other"),))

@hookimpl
def sf_wrappers():
    yield WrapperSpec(name="dusk", factory="maze.env:Dusk")

@hookimpl
def sf_presets():
    yield Preset(name="fast", values={"batch_size": 2048, "gamma": 0.7, "maze_depth": 7}, applies_to=("maze",))

@hookimpl
def sf_arguments():
    yield Arg("--{plugin}_assets", str, "here", "where the assets are")
"""


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SF_PLUGINS", "")
    forget_registrations()
    arguments._said.clear()
    yield
    forget_registrations()


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """Path of a plugin file; its plugin is named mazes."""
    path = tmp_path / "mazes.py"
    path.write_text(PLUGIN.replace("{plugin}", "mazes"))
    return str(path)


@pytest.fixture
def cfg_of() -> Callable[..., Config]:
    """Both passes at once, with exceptions instead of exits."""

    def parse(*argv: str, evaluation: bool = False) -> Config:
        parser, _ = arguments.parse_sf_args(list(argv), evaluation)
        return arguments.full_cfg(parser, list(argv))

    return parse
