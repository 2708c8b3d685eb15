"""A plugin that is one file: `-p my_env.py`, `-p pkg.module`, `SF_LOAD`, and `register_env` in a user's own script."""

import functools
import sys
import types

import pytest

from sf_core import Arg, global_model_factory, register_env
from sf_core.plugins.manager import Manager, build_plan
from sf_core.plugins.script import script_components, script_specs
from sf_core.utils.errors import UsageError

MAZE = """
from sf_core import Arg, register_env

@register_env("my_maze", defaults={"gamma": 0.995}, args=(Arg("--maze_size", int, 16),), summary="a maze")
def make_maze(full_env_name, cfg, env_config, render_mode=None):
    return full_env_name, cfg["maze_size"], render_mode
"""


@pytest.fixture
def file(tmp_path):
    before = set(sys.modules)

    def write(source, name="my_env.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        return str(path)

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("sf_script_"):
            del sys.modules[name]


def test_a_file_offers_what_it_registers(file, only_site):
    path = file(MAZE)
    manager = Manager((path,))
    spec = manager.resolve("env", "my_maze")
    assert spec.qualified == "my_env/my_maze"
    assert spec.args == (Arg("--maze_size", int, 16),)
    assert spec.factory == f"file:{path}:make_maze"
    assert manager.record("my_env").source == "file"
    plan = build_plan({"env": "my_env/my_maze"}, manager).env
    assert plan.call_factory({"maze_size": 3}, None, "rgb_array") == ("my_maze", 3, "rgb_array")


def test_a_file_wins_over_an_installed_plugin_which_stays_reachable(file, only_site):
    source = """
from sf_core import EnvSpec, hookimpl

@hookimpl
def sf_environments():
    yield EnvSpec(name="my_maze", factory="p:f")
"""
    only_site.add("aaa-dist", {"aaa": source})
    assert Manager().resolve("env", "my_maze").plugin == "aaa"
    manager = Manager((file(MAZE),))
    assert manager.resolve("env", "my_maze").plugin == "my_env"
    assert manager.resolve("env", "aaa/my_maze").plugin == "aaa"
    assert Manager().resolve("env", "my_maze").plugin == "aaa"  # a run that does not name the file is not changed


def test_files_can_be_named_in_a_variable(file, only_site, monkeypatch):
    monkeypatch.setenv("SF_LOAD", f"{file(MAZE)},{file(MAZE.replace('my_maze', 'other'), 'other.py')}")
    assert {"my_env/my_maze", "other/other"} <= {spec.qualified for spec in Manager().all_components("env")}


def test_a_module_works_like_a_file(file, only_site, monkeypatch, tmp_path):
    file(MAZE, "some_folder/maze_module.py")
    monkeypatch.chdir(tmp_path / "some_folder")  # found in the current folder, as with `python -m`
    monkeypatch.setattr(sys, "path", [*sys.path])
    manager = Manager(("maze_module",))
    assert manager.resolve("env", "my_maze").qualified == "maze_module/my_maze"
    assert manager.resolve("env", "my_maze").factory == "maze_module:make_maze"
    assert manager.record("maze_module").source == "module"
    del sys.modules["maze_module"]


def test_naming_the_module_of_an_installed_plugin_means_that_plugin(only_site):
    modules = only_site.add("maze-dist", {"maze": "from sf_core import hookimpl\n"})
    manager = Manager((modules["maze"],))
    assert [record.name for record in manager.plugins()] == ["core", "maze"]
    assert manager.record("maze").required


def test_a_file_that_registers_nothing_is_an_error(file, only_site):
    with pytest.raises(UsageError, match="plugin empty is broken: ValueError: it registers nothing; use register_env"):
        Manager((file("x = 1", "empty.py"),))


def test_a_file_that_fails_is_an_error_with_the_reason(file, only_site):
    with pytest.raises(UsageError, match="NameError: name 'undefined_name' is not defined"):
        Manager((file("undefined_name", "bad.py"),))


def test_a_file_may_hold_real_hooks(file, only_site):
    source = (
        "from sf_core import EnvSpec, hookimpl\n"
        "@hookimpl\n"
        "def sf_environments():\n"
        "    yield EnvSpec(name='hooked', factory='p:f')\n"
    )
    manager = Manager((file(source, "hooks.py"),))
    assert manager.resolve("env", "hooked").plugin == "hooks"
    assert manager.record("hooks").hooks == ("sf_environments",)


def test_a_file_named_like_an_installed_plugin_is_told_apart(file, only_site):
    only_site.add("some-dist", {"my_env": "from sf_core import hookimpl\n"})
    names = [record.name for record in Manager((file(MAZE),)).plugins()]
    assert names == ["core", "my_env", "my_env@my_env.py"]


def test_a_second_manager_does_not_execute_the_file_again(file, only_site):
    path = file(MAZE + "\nimport builtins\nbuiltins.maze_executions = getattr(builtins, 'maze_executions', 0) + 1\n")
    import builtins

    try:
        for requests in ((path,), (path, "no:other")):
            assert Manager(requests).resolve("env", "my_maze").plugin == "my_env"
        assert builtins.maze_executions == 1
    finally:
        del builtins.maze_executions


def make_env(full_env_name, cfg, env_config):
    return "made"


def make_other(full_env_name, cfg, env_config):
    return "other"


def test_registering_the_same_again_changes_nothing_and_another_one_warns(warnings_of):
    register_env("x", make_env)
    register_env("x", make_env)
    assert len(script_specs()) == 1
    assert warnings_of() == []
    register_env("x", make_other)
    assert [spec.factory for spec in script_specs()] == [f"{__name__}:make_other"]
    assert warnings_of() == ["env 'x' is registered again with another factory; the last one is used"]


def test_both_forms_of_register_env_give_the_factory_back():
    assert register_env("direct", make_env, summary="s") is make_env
    assert register_env("decorated", defaults={"gamma": 0.5})(make_env) is make_env
    assert [spec.name for spec in script_specs()] == ["direct", "decorated"]


def test_partials_travel_in_the_plan_and_closures_only_within_this_process():
    register_env("partial", functools.partial(make_env))
    plan = build_plan({"env": "partial"}, Manager(("no:none_such",)))
    plan.check_portable()
    register_env("closure", lambda full_env_name, cfg, env_config: "from a closure")
    plan = build_plan({"env": "closure"}, Manager())
    assert plan.env.call_factory({}, None) == "from a closure"
    with pytest.raises(UsageError, match=r"'closure' cannot be sent to other processes: .* use --serial_mode=True"):
        plan.check_portable()


def test_what_is_defined_interactively_is_not_portable(monkeypatch):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    make = types.FunctionType(make_env.__code__, {}, "make_it")
    make.__module__, make.__qualname__ = "__main__", "make_it"
    register_env("typed_in", make)
    with pytest.raises(UsageError, match="interactive session"):
        build_plan({"env": "typed_in"}, Manager()).check_portable()


class Encoder:
    pass


class OtherEncoder:
    pass


def test_a_registered_model_part_is_chosen_before_defaults_and_after_the_user():
    class Cfg(dict):
        def __init__(self, origin, **values):
            super().__init__(env="CartPole-v1", **values)
            self._origin = origin

        def origin(self, name):
            return self._origin if name == "encoder" else "default"

    manager = Manager()
    global_model_factory().register_encoder_factory(Encoder)
    assert script_components() == {"encoder": "script/Encoder"}

    def chosen(cfg):
        return build_plan(cfg, manager).model.encoder.qualified

    assert chosen(Cfg("default", encoder="auto")) == "script/Encoder"
    assert chosen(Cfg("env", encoder="mlp")) == "script/Encoder"
    assert chosen(Cfg("cli", encoder="mlp")) == "core/mlp"
    assert chosen(Cfg("cli", encoder="auto")) == "core/auto"
    assert chosen({"env": "CartPole-v1"}) == "script/Encoder"  # a plain mapping: auto is nobody's wish
    global_model_factory().register_encoder_factory(OtherEncoder)
    assert chosen(Cfg("default", encoder="auto")) == "script/OtherEncoder"


def test_all_four_parts_can_be_registered_under_the_old_names_too():
    factory = global_model_factory()
    assert factory is global_model_factory()
    factory.register_actor_critic_factory(make_env)
    factory.register_core_factory(make_env)
    factory.register_model_core_factory(make_other)
    factory.register_decoder_factory(make_env)
    assert script_components() == {
        "actor_critic": "script/make_env",
        "core": "script/make_other",
        "decoder": "script/make_env",
    }
