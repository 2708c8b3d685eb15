import pytest

from sf_core import EnvSpec
from sf_core.plugins.manager import get_manager, prescan
from sf_core.utils.errors import UsageError


@pytest.fixture
def atari(plugin):
    def make():
        record = plugin("atari", EnvSpec(name="atari_pong", factory="p:f"), dist="sf-plugins-atari")
        record.entry_point = "sf_plugins_atari.plugin"
        return record

    return make


def status(manager, name="atari"):
    manager.load()
    return manager.record(name).status


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ((), False, False)),
        (
            ["--env=x", "-p", "a", "-pb", "--plugins=c", "--plugins", "no:d", "-p=e"],
            (("a", "b", "c", "no:d", "e"), False, False),
        ),
        (["--strict_plugins", "-v"], ((), True, True)),
        (["--strict_plugins=False", "--verbose=false"], ((), False, False)),
        (["--strict_plugins=True", "--no_strict_plugins"], ((), False, False)),
        (["--", "-p", "a"], ((), False, False)),
        (["-p"], (("",), False, False)),
        (["--policy_workers_per_policy=2", "--plugin", "x"], ((), False, False)),
    ],
)
def test_the_command_line_is_read_before_argparse(argv, expected):
    assert prescan(argv) == expected


@pytest.mark.parametrize("word", ["atari", "ATARI", "sf-plugins-atari", "sf_plugins_atari", "sf_plugins_atari.plugin"])
def test_blocking_by_plugin_distribution_or_module(atari, manager_of, warnings_of, monkeypatch, word):
    assert status(manager_of(atari(), requests=(f"no:{word}",))) == "blocked"
    monkeypatch.setenv("SF_DISABLE_PLUGINS", f"{word}, ")
    assert status(manager_of(atari())) == "blocked"
    monkeypatch.delenv("SF_DISABLE_PLUGINS")
    monkeypatch.setenv("SF_PLUGINS", word)
    assert status(manager_of(atari())) == "ok"
    assert warnings_of() == []


def test_an_unknown_name_warns_and_suggests(atari, manager_of, warnings_of, monkeypatch):
    monkeypatch.setenv("SF_PLUGINS", "atari,atary")
    monkeypatch.setenv("SF_DISABLE_PLUGINS", "zzz")
    assert status(manager_of(atari(), requests=("no:atarri",))) == "ok"
    assert warnings_of() == [
        "SF_PLUGINS: no plugin is named 'atary', did you mean 'atari'?",
        "SF_DISABLE_PLUGINS: no plugin is named 'zzz'",
        "-p no:atarri: no plugin is named 'atarri', did you mean 'atari'?",
    ]


def test_an_empty_allow_list_allows_none_but_the_core(atari, manager_of, monkeypatch):
    monkeypatch.setenv("SF_PLUGINS", "")
    manager = manager_of(atari())
    assert status(manager) == "blocked"
    assert manager.record("atari").problems == ["blocked: not in SF_PLUGINS=''"]
    assert status(manager, "core") == "ok"


def test_the_core_cannot_be_blocked(manager_of, warnings_of, monkeypatch):
    monkeypatch.setenv("SF_DISABLE_PLUGINS", "sf-core")
    assert status(manager_of(requests=("no:core",)), "core") == "ok"
    assert all("cannot be blocked" in warning for warning in warnings_of())
    assert len(warnings_of()) == 2


def test_asking_for_a_plugin_unblocks_it_and_the_last_word_on_the_command_line_counts(atari, manager_of, monkeypatch):
    monkeypatch.setenv("SF_PLUGINS", "")
    monkeypatch.setenv("SF_DISABLE_PLUGINS", "atari")
    manager = manager_of(atari(), requests=("atari",))
    assert status(manager) == "ok"
    assert manager.record("atari").required
    assert manager.record("atari").problems == []
    assert status(manager_of(atari(), requests=("atari", "no:atari"))) == "blocked"
    assert status(manager_of(atari(), requests=("no:atari", "atari"))) == "ok"


def test_asking_for_what_does_not_exist_is_an_error(atari, manager_of, tmp_path):
    with pytest.raises(UsageError, match="-p atarri: no plugin, file or module has this name, did you mean 'atari'"):
        manager_of(atari(), requests=("atarri",))
    with pytest.raises(UsageError, match=r"-p .*absent.py: there is no such file"):
        manager_of(requests=(str(tmp_path / "absent.py"),))
    with pytest.raises(UsageError, match="-p : no plugin"):
        manager_of(requests=("",))


def test_asking_for_a_plugin_that_fails_is_an_error_with_the_reason(plugin, manager_of):
    def fail():
        raise ImportError("no simulator here")

    manager_of(plugin("bad", load=fail))  # not asked for: no error
    with pytest.raises(UsageError, match=r"-p: plugin bad .* is broken: ImportError: no simulator here") as caught:
        manager_of(plugin("bad", load=fail), requests=("bad",))
    assert isinstance(caught.value.__cause__, ImportError)


def test_managers_are_made_once_per_request_and_environment(only_site, monkeypatch):
    first = get_manager(("no:x",))
    assert get_manager(("no:x",)) is first
    assert get_manager(()) is not first
    monkeypatch.setenv("SF_PLUGINS", "")
    assert get_manager(("no:x",)) is not first
