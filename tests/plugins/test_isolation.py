"""One plugin's failure never costs another plugin anything (the nine fixture distributions)."""

import pytest

from sf_core import Arg, EncoderSpec, EnvSpec, hookimpl
from sf_core.plugins.manager import Manager, get_manager
from sf_core.utils.errors import UsageError

STATUSES = {
    "arcade": "ok",
    "doom": "ok",
    "grid": "ok",
    "zz": "broken",
    "quits": "broken",
    "badsig": "broken",
    "late": "degraded",
    "old": "incompatible",
    "na": "unavailable",
}


def env(name, **fields):
    return EnvSpec(name=name, factory="pkg:make", **fields)


def test_every_fixture_has_the_status_it_should(nine):
    records = {record.name: record for record in Manager().survey()}
    assert records.pop("core").status == "ok"
    assert {name: record.status for name, record in records.items()} == STATUSES


def test_what_went_wrong_is_said_in_a_sentence(nine):
    problems = {record.name: record.problems for record in Manager().survey()}
    assert problems["arcade"] == problems["doom"] == []
    assert problems["grid"] == ["unknown hook 'sf_enviroments', did you mean 'sf_environments'?"]
    assert problems["zz"] == [
        "ModuleNotFoundError: No module named 'not_installed_lib' (requires sf-core>=99.5, 0.1.0 is installed)"
    ]
    assert problems["quits"] == ["SystemExit: 3"]
    assert problems["late"] == ["sf_environments(): RuntimeError: late boom"]
    assert problems["old"] == ["built for plugin API 2, this sf_core speaks 1.0"]
    assert problems["na"] == ["needs Windows"]
    assert len(problems["badsig"]) == 1
    assert "'colour'" in problems["badsig"][0]


def test_the_good_ones_offer_everything_and_the_bad_ones_nothing(nine):
    manager = Manager()
    assert [spec.qualified for spec in manager.all_components("env") if spec.plugin != "core"] == [
        "arcade/arcade_pong",
        "arcade/arcade_breakout",
        "arcade/arcade_catch",
        "doom/doom_plain",
        "doom/doom_basic",
        "grid/grid_walk",
    ]
    # `late` failed in sf_environments only
    assert [spec.qualified for spec in manager.all_components("encoder") if spec.plugin != "core"] == [
        "arcade/arcade_cnn",
        "late/late_encoder",
    ]


def test_failures_are_said_again_where_somebody_misses_the_plugin(nine):
    with pytest.raises(UsageError) as caught:
        Manager().resolve("env", "late_env")
    message = str(caught.value)
    assert message.startswith("unknown env 'late_env'")
    for name in ("zz", "quits", "badsig", "old", "na"):
        assert f"{name} ({STATUSES[name]}: " in message
    assert "late (degraded: sf_environments(): RuntimeError: late boom)" in message


def test_naming_a_failed_plugin_says_why_it_failed(nine):
    with pytest.raises(UsageError, match=r"plugin na \(fixture-na 1.0\) is unavailable: needs Windows"):
        Manager().resolve("env", "na/whatever")
    with pytest.raises(UsageError, match=r"plugin late has no env 'late_env'.*late boom"):
        Manager().resolve("env", "late/late_env")


def test_broken_plugins_are_said_once_on_the_log_and_unavailable_ones_are_not(nine, warnings_of):
    for _ in range(2):
        get_manager().survey()
    text = "\n".join(warnings_of())
    for name in ("zz", "quits", "badsig", "old", "late"):
        assert text.count(f"plugin {name} (fixture-{name} ") == 1
    assert "fixture-na" not in text
    assert "fixture-grid" not in text


def test_what_plugins_print_does_not_reach_stdout(nine, capsys):
    Manager().survey()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "this must not reach a JSON reader" in captured.err


def test_strict_lets_the_exception_through_with_the_name_of_the_plugin(nine):
    with pytest.raises(Exception, match="colour") as caught:
        Manager(strict=True)
    assert any("plugin badsig (fixture-badsig 1.0)" in note for note in caught.value.__notes__)


def test_strict_can_be_asked_for_with_a_variable(nine, monkeypatch):
    monkeypatch.setenv("SF_STRICT_PLUGINS", "1")
    monkeypatch.setenv("SF_PLUGINS", "quits")
    with pytest.raises(RuntimeError, match=r"plugin quits \(fixture-quits 1.0\): SystemExit: 3"):
        get_manager()


def test_strict_reaches_errors_in_hooks(nine, monkeypatch):
    monkeypatch.setenv("SF_PLUGINS", "late")
    manager = Manager(strict=True)
    with pytest.raises(RuntimeError, match="late boom"):
        manager.all_components("env")


def test_interrupting_is_not_swallowed(plugin, manager_of):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manager_of(plugin("slow", load=interrupted)).survey()


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (lambda: None, "gave None, which is not a list; return one, or yield"),
        (lambda: 3, "gave 3, which is not a list"),
        (lambda: "text", "gave 'text', which is not a list"),
        (lambda: [env("a"), "b"], "yielded 'b', which is not of type EnvSpec"),
        (lambda: [EncoderSpec(name="e", factory="p:f")], "is not of type EnvSpec"),
        (lambda: [env("auto")], "the name 'auto' is the core's"),
        (lambda: [EnvSpec(name="a", factory=print)], "factory must be a string"),
        (
            lambda: [EnvSpec(name="a", factory="p:f", sumary="x")],
            "EnvSpec has no field 'sumary', did you mean 'summary'?",
        ),
        (lambda: [EnvSpec(name="a b", factory="p:f")], "a name has no spaces"),
    ],
)
def test_a_bad_offer_degrades_its_plugin_and_no_other(plugin, manager_of, result, problem):
    manager = manager_of(
        plugin("bad", EncoderSpec(name="enc", factory="p:f"), sf_environments=result), plugin("good", env("fine"))
    )
    assert [spec.name for spec in manager.all_components("env") if spec.plugin != "core"] == ["fine"]
    assert manager.resolve("encoder", "enc").plugin == "bad"  # another hook of the same plugin still counts
    assert manager.record("bad").status == "degraded"
    assert manager.record("bad").problems[0].startswith("sf_environments(): ")
    assert problem in manager.record("bad").problems[0]
    assert manager.record("good").status == "ok"


def test_a_field_of_a_newer_core_is_explained_by_the_metadata(only_site):
    source = (
        "from sf_core import EnvSpec, hookimpl\n"
        "@hookimpl\n"
        "def sf_environments():\n"
        "    yield EnvSpec(name='x', factory='p:f', hologram=True)\n"
    )
    only_site.add("newer", {"newer": source}, requires=["numpy", "sf-core[testing]>=0.5,<9 ; python_version > '3'"])
    records = {record.name: record for record in Manager().survey()}
    assert records["newer"].problems == [
        "sf_environments(): TypeError: EnvSpec has no field 'hologram' (requires sf-core>=0.5,<9, 0.1.0 is installed)"
    ]


def test_a_name_offered_twice_by_one_plugin_is_unusable_and_the_rest_is_fine(plugin, manager_of):
    manager = manager_of(plugin("twice", env("same"), env("other"), env("same")))
    assert manager.resolve("env", "other").plugin == "twice"
    with pytest.raises(UsageError, match=r"unknown env 'same'.*offered more than once: same"):
        manager.resolve("env", "same")
    assert manager.record("twice").status == "degraded"


def test_flags_of_a_plugin_begin_with_its_name(plugin, manager_of):
    manager = manager_of(plugin("maze", Arg("--maze_cache")), plugin("bad", Arg("--cache"), Arg("--bad_ok")))
    assert manager.survey()
    assert manager.arguments() == {"maze": [Arg("--maze_cache")]}
    assert "--cache does not begin with --bad_" in manager.record("bad").problems[0]


def test_a_hook_without_its_marker_and_a_wrapper_are_pointed_out(plugin, manager_of):
    record = plugin("forgetful", env("x"))
    module = record.load()

    def sf_encoders():
        return []

    module.sf_encoders = sf_encoders

    @hookimpl(wrapper=True)
    def sf_cores():
        return (yield)

    module.sf_cores = sf_cores
    manager = manager_of(record)
    manager.survey()
    assert manager.record("forgetful").problems == [
        "sf_cores: hook wrappers are not called",
        "sf_encoders is not marked with @hookimpl, so it is not called",
    ]


@pytest.mark.parametrize(("declared", "status"), [(1, "ok"), ("1.7", "ok"), (2, "incompatible"), ("0", "incompatible")])
def test_the_plugin_api_is_compared_by_its_first_number(plugin, manager_of, declared, status):
    record = plugin("versioned", env("x"))
    record.load().SF_PLUGIN_API = declared
    manager = manager_of(record)
    manager.survey()
    assert manager.record("versioned").status == status
    assert bool(manager.record("versioned").hooks) is (status == "ok")


def test_a_slow_import_is_pointed_out(plugin, manager_of, monkeypatch):
    from sf_core.plugins import loading

    record, plugin_manager = plugin("slow", env("x")), manager_of()._pluggy
    ticks = iter([0.0, 0.3])
    monkeypatch.setattr(loading.time, "perf_counter", lambda: next(ticks, 0.3))
    loading.load(record, plugin_manager, strict=False)
    assert record.load_ms == pytest.approx(300)
    assert record.problems == ["takes 300 ms to import; import heavy packages inside functions"]


def test_tracing_prints_calls_and_results(plugin, manager_of, monkeypatch, capsys):
    monkeypatch.setenv("SF_TRACE_PLUGINS", "1")
    manager_of(plugin("maze", env("x"))).all_components("env")
    assert "trace: maze.sf_environments() -> [EnvSpec(name='x'" in capsys.readouterr().err
