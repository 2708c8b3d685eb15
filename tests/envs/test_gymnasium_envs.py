import sys

import pytest

from sf_core.envs.gymnasium_envs import make_from_function, make_gymnasium_env
from sf_core.testing.fakes import CountingEnv
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

CONFIG = AttrDict(worker_index=0, vector_index=0, env_id=3, seed=1)


@pytest.mark.parametrize("name", ["CartPole-v1", "gym:CartPole-v1"])
def test_a_gymnasium_id_needs_no_registration(name):
    env = make_gymnasium_env(name, {}, CONFIG)
    assert env.spec.id == "CartPole-v1"
    env.close()


def test_static_parameters_reach_gymnasium():
    env = make_gymnasium_env("CartPole-v1", {}, CONFIG, render_mode="rgb_array", max_episode_steps=7)
    assert (env.spec.max_episode_steps, env.render_mode) == (7, "rgb_array")
    env.close()


def test_a_module_in_front_of_the_id_is_imported(tmp_path, monkeypatch):
    (tmp_path / "my_maze_pkg.py").write_text(
        "import gymnasium\n"
        "from sf_core.testing.fakes import CountingEnv\n"
        "gymnasium.register('MyMaze-v0', CountingEnv)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_maze_pkg:MyMaze-v0", "gym:my_maze_pkg:MyMaze-v0"):
        assert isinstance(make_gymnasium_env(name, {}, CONFIG).unwrapped, CountingEnv)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("CartPol-v1", "unknown env 'CartPol-v1': Gymnasium knows no such id; close ones are CartPole-v1"),
        ("gym:CartPole-v7", "unknown env 'gym:CartPole-v7': .*version `v7`.*close ones are CartPole-v1"),
        (
            "ABC/Pong-v5",
            r"unknown env 'ABC/Pong-v5': namespace ABC is not registered; name its package "
            r"\(--env=its_package:ABC/Pong-v5\) or install a plugin",
        ),
        (
            "nopkg:Maze-v0",
            "env 'nopkg:Maze-v0': no module named 'nopkg' can be imported to register Maze-v0; pip install",
        ),
        ("nopkg.sub:Maze-v0", "no module named 'nopkg.sub' can be imported to register Maze-v0; pip install"),
        ("json:Maze-v0", "unknown env 'json:Maze-v0': Gymnasium knows no such id"),
        ("json:loads", "unknown env 'json:loads': loads is no id but a function; write --env=py:json:loads"),
    ],
)
def test_a_wrong_id_is_a_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        make_gymnasium_env(name, {}, CONFIG)


def test_the_namespace_of_ale_names_its_package(monkeypatch):
    import gymnasium

    without_ale = {key: spec for key, spec in gymnasium.registry.items() if spec.namespace != "ALE"}
    monkeypatch.setattr("gymnasium.envs.registration.registry", without_ale)
    with pytest.raises(UsageError, match="--env=ale_py:ALE/Pong-v5"):
        make_gymnasium_env("ALE/Pong-v5", {}, CONFIG)


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (
            "ModuleNotFoundError(\"No module named 'maze_sim'\", name='maze_sim')",
            "needs 'maze_sim', which is not installed",
        ),
        (
            "gymnasium.error.DependencyNotInstalled('Box2D is not installed, run `pip install gymnasium[box2d]`')",
            r"needs a package that is not installed: Box2D.*pip install gymnasium\[box2d\]",
        ),
        ("ImportError('moved to another project')", "cannot be made: moved to another project"),
        ("gymnasium.error.Error('no such map')", "cannot be made: no such map"),
    ],
)
def test_what_is_missing_is_a_sentence(raised, sentence, tmp_path, monkeypatch):
    (tmp_path / "needs_something.py").write_text(
        f"import gymnasium\ndef make(**kwargs):\n    raise {raised}\ngymnasium.register('Needy-v0', make)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "needs_something", raising=False)
    import gymnasium

    gymnasium.registry.pop("Needy-v0", None)
    with pytest.raises(UsageError, match=f"env 'needs_something:Needy-v0' {sentence}"):
        make_gymnasium_env("needs_something:Needy-v0", {}, CONFIG)


def test_a_function_makes_the_env():
    env = make_from_function("py:sf_core.testing.fakes:make_counting_env", {}, CONFIG, render_mode="rgb_array")
    assert env.env_id == 3


def test_a_function_without_render_mode_is_called_without_it(tmp_path, monkeypatch):
    (tmp_path / "plain_maze.py").write_text(
        "def make(full_env_name, cfg, env_config):\n    return full_env_name, cfg\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert make_from_function("py:plain_maze:make", {"a": 1}, CONFIG, "human") == ("py:plain_maze:make", {"a": 1})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("py:maze", "env 'py:maze' names no function; write --env=py:module:function"),
        ("py:nopkg.maze:make", "env 'py:nopkg.maze:make': no module named 'nopkg' can be imported"),
        ("py:json:make", "env 'py:json:make': json has no 'make'"),
        ("py:math:pi", "env 'py:math:pi': math:pi is a float; name a function"),
    ],
)
def test_a_wrong_function_is_a_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        make_from_function(name, {}, CONFIG)
