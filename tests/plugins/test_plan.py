import functools
import json
import pickle

import pytest

from sf_core import ActorCriticSpec, CoreSpec, EncoderSpec, EnvSpec, ObserverSpec, WrapperSpec
from sf_core.plugins.manager import build_plan
from sf_core.plugins.plan import ComponentRef, EnvError, EnvPlan, RunPlan
from sf_core.utils.errors import UsageError

HERE = __name__


def with_render_mode(full_env_name, cfg, env_config, render_mode=None, **params):
    return ("env", full_env_name, cfg, env_config, render_mode, params)


def without_render_mode(full_env_name, cfg, env_config, rom):
    return ("env", full_env_name, rom)


def keyword_only(full_env_name, cfg, env_config, *, render_mode):
    return render_mode


def vector(full_env_name, cfg, env_configs, render_mode=None, size=1):
    return ("vector", full_env_name, env_configs, render_mode, size)


def failing(full_env_name, cfg, env_config):
    raise RuntimeError("no\n  display")


def refusing(full_env_name, cfg, env_config):
    raise UsageError("name another level")


def wrapper(env, cfg, env_config, label):
    return (label, env)


CALLS = []


def init_worker(cfg, worker_index):
    CALLS.append((cfg, worker_index))


def plan(factory, **fields):
    return EnvPlan("maze", "my_env", factory, distribution="my-env-plugin", version="0.1", **fields)


def ref(function):
    return f"{function.__module__}:{function.__name__}"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    # with --import-mode=importlib this file has a name that a plain import does not find
    import sys

    if HERE not in sys.modules:
        module = type(sys)(HERE)
        vars(module).update(globals())
        monkeypatch.setitem(sys.modules, HERE, module)


def test_a_factory_gets_the_name_the_parameters_and_the_render_mode():
    env = plan(ref(with_render_mode), params={"size": 3}).call_factory("cfg", "env_config", "rgb_array")
    assert env == ("env", "maze", "cfg", "env_config", "rgb_array", {"size": 3})


def test_a_factory_that_does_not_take_a_render_mode_is_called_without():
    assert plan(ref(without_render_mode), params={"rom": "pong"}).call_factory({}, None, "human") == (
        "env",
        "maze",
        "pong",
    )
    assert plan(ref(keyword_only)).call_factory({}, None, "human") == "human"
    assert plan(functools.partial(without_render_mode, rom="pong")).call_factory({}, None, "human")[2] == "pong"


def test_wrappers_are_applied_from_the_inside_out():
    wrappers = tuple(ComponentRef(name, "w", ref(wrapper), {"label": name}) for name in ("inner", "outer"))
    made = plan(ref(without_render_mode), params={"rom": "x"}, wrappers=wrappers).call_factory({}, None)
    assert made == ("outer", ("inner", ("env", "maze", "x")))


def test_the_vector_factory_gets_all_configurations_as_a_tuple():
    made = plan(ref(failing), params={"size": 2}, vector_factory=ref(vector))
    assert made.call_vector_factory({}, ["a", "b"], "rgb_array") == ("vector", "maze", ("a", "b"), "rgb_array", 2)
    with pytest.raises(ValueError, match="'maze' has no vector_factory"):
        plan(ref(failing)).call_vector_factory({}, ["a"])


def test_the_worker_is_prepared_by_its_plugin():
    plan(ref(failing), worker_init=ref(init_worker)).init_worker("cfg", 3)
    assert CALLS == [("cfg", 3)]
    plan(ref(failing)).init_worker("cfg", 3)
    assert len(CALLS) == 1


def test_a_failure_names_env_plugin_distribution_and_version():
    with pytest.raises(EnvError) as caught:
        plan(ref(failing)).call_factory({}, None)
    assert str(caught.value) == "env 'maze' (plugin my_env, my-env-plugin 0.1) failed: RuntimeError: no display"
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it crosses to the parent
    with pytest.raises(EnvError, match="ModuleNotFoundError: No module named 'absent_module'"):
        plan("absent_module:make").call_factory({}, None)
    with pytest.raises(EnvError, match=r"failed in wrapper w/broken: RuntimeError: no display"):
        plan(ref(keyword_only), wrappers=(ComponentRef("broken", "w", ref(failing)),)).call_factory({}, None)


def test_a_sentence_for_the_user_passes_unchanged():
    with pytest.raises(UsageError, match=r"^name another level$"):
        plan(ref(refusing)).call_factory({}, None)


@pytest.fixture
def manager(plugin, manager_of):
    return manager_of(
        plugin(
            "my_env",
            EnvSpec(name="maze", factory=ref(with_render_mode), vector_factory=ref(vector), params={"size": 3}),
            EnvSpec(name="absent", factory="p:f", requires={"absent_module_a": "absent-a", "absent_module_b": ""}),
            EnvSpec(name="licence", factory="p:f", missing="battle.wad", fix="get-battle-wad --accept"),
            EnvSpec(name="file_only", factory="p:f", missing="battle.wad"),
            EnvSpec(name="own_files", factory="p:f", requires=("absent_module",), missing="x.wad", supplied_by="maps"),
            EnvSpec(name="own_maps", factory="p:f", missing="x.wad", supplied_by="maps"),
            EncoderSpec(name="cnn", factory="p.model:CNN"),
            CoreSpec(name="memory", factory="p.model:Memory"),
            version="0.1",
        ),
        plugin(
            "extra",
            WrapperSpec(name="penalty", factory=ref(wrapper), params={"label": "penalty"}),
            ObserverSpec(name="watcher", factory="p.watch:Watcher", critical=True),
            ActorCriticSpec(name="towers", factory="p.model:Towers"),
        ),
        plugin("bystander", EnvSpec(name="other", factory="p:f")),
    )


def test_a_configuration_becomes_a_plan(manager):
    cfg = {
        "env": "maze",
        "encoder": "cnn",
        "core": "my_env/memory",
        "actor_critic": "towers",
        "env_wrappers": ["penalty"],
        "observers": ["watcher"],
    }
    run = build_plan(cfg, manager)
    assert (run.env.name, run.env.plugin, run.env.params) == ("maze", "my_env", {"size": 3})
    assert [w.qualified for w in run.env.wrappers] == ["extra/penalty"]
    model = run.model
    assert [c.qualified for c in (model.encoder, model.core, model.decoder, model.actor_critic)] == [
        "my_env/cnn",
        "my_env/memory",
        "core/auto",
        "extra/towers",
    ]
    assert [(o.qualified, o.critical) for o in run.observers] == [("extra/watcher", True)]
    assert set(run.plugins) == {"my_env", "extra", "core"}  # no bystanders
    assert run.plugins["my_env"] == {"distribution": "my_env-dist", "version": "0.1"}


def test_choosing_a_wrapper_gives_up_the_native_vector_env_and_says_so(manager):
    assert build_plan({"env": "maze"}, manager).env.vector_factory == ref(vector)
    run = build_plan({"env": "maze", "env_wrappers": ["penalty"]}, manager)
    assert run.env.vector_factory is None
    assert run.notices == ("env 'maze' is made one by one instead of natively vectorised: wrappers are chosen",)


def test_plans_pickle_and_are_json(manager):
    run = build_plan({"env": "maze", "observers": ["watcher"]}, manager)
    assert pickle.loads(pickle.dumps(run)) == run
    stored = json.loads(json.dumps(run.to_json()))
    assert stored["env"]["plugin"] == "my_env"
    assert stored["observers"][0]["critical"] is True
    run.check_portable()


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ("absent", r"needs absent_module_a, absent_module_b: pip install absent-a absent_module_b"),
        ("licence", r"env 'licence' \(plugin my_env\) needs battle.wad: get-battle-wad --accept"),
        ("file_only", r"needs battle.wad, which is not here"),
    ],
)
def test_what_is_missing_is_said_with_the_remedy(manager, env, sentence):
    with pytest.raises(UsageError, match=sentence):
        build_plan({"env": env}, manager)
    assert isinstance(build_plan({"env": env}, manager, check=False), RunPlan)


def test_what_is_missing_can_be_supplied_by_an_option(manager):
    with pytest.raises(UsageError, match=r"needs x\.wad"):
        build_plan({"env": "own_maps", "maps": None}, manager)
    assert build_plan({"env": "own_maps", "maps": "/my/maps"}, manager).env.name == "own_maps"
    with pytest.raises(UsageError, match="needs absent_module: pip"):  # a package is not a file
        build_plan({"env": "own_files", "maps": "/my/maps"}, manager)


def test_a_bare_folder_does_not_count_as_an_installed_package(tmp_path, monkeypatch):
    from sf_core.plugins.availability import is_installed

    (tmp_path / "only_a_folder").mkdir()
    (tmp_path / "real_module.py").write_text("raise RuntimeError('looking must not import')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not is_installed("only_a_folder")
    assert is_installed("real_module")
    assert is_installed("real_module.sub")
    assert is_installed("sys")
    assert not is_installed("absent_module_a")
