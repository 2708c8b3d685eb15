"""`sf-list` as its users run it: in a process of its own, beside the nine fixture distributions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sf_core
from sf_core.plugins import hookspecs

ROOT = Path(sf_core.__file__).parent.parent
DISTS = Path(__file__).parent.parent / "plugins" / "dists"
FIXTURES = ("arcade", "badsig", "doom", "grid", "late", "na", "old", "quits", "zz")
BLOCK_OTHERS = ",".join((*FIXTURES,))


def sf_list(*argv, path=(DISTS,), **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SF_")}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "COLUMNS": "100", **variables}
    # installed plugins of this machine are left out, so that the answers are the same everywhere
    environment.setdefault("SF_PLUGINS", BLOCK_OTHERS)
    return subprocess.run(
        [sys.executable, "-m", "sf_core", "list", *argv], env=environment, capture_output=True, text=True, timeout=60
    )


def listed(*argv, **kwargs):
    result = sf_list(*argv, "--json", **kwargs)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)  # nothing else is on stdout, whatever plugins print
    assert answer.pop("schema") == 1
    return answer


def of_fixtures(entries):
    return [entry for entry in entries if entry["plugin"] in FIXTURES]


def test_plugins_with_their_statuses_as_json():
    answer = listed()
    assert list(answer) == ["plugins"]
    fixtures = of_fixtures(answer["plugins"])
    assert {entry["name"]: entry["status"] for entry in fixtures} == {
        "arcade": "ok",
        "badsig": "broken",
        "doom": "ok",
        "grid": "ok",
        "late": "degraded",
        "na": "unavailable",
        "old": "incompatible",
        "quits": "broken",
        "zz": "broken",
    }
    arcade = next(entry for entry in fixtures if entry["name"] == "arcade")
    assert arcade.pop("load_ms") < 1000
    assert arcade == {
        "name": "arcade",
        "plugin": "arcade",
        "distribution": "fixture-arcade",
        "version": "1.2.0",
        "source": "entry point",
        "status": "ok",
        "entry_point": "fixture_arcade.plugin",
        "hooks": ["sf_encoders", "sf_environments", "sf_wrappers"],
        "provides": {"envs": 3, "encoders": 1, "wrappers": 1},
        "problems": [],
    }
    zz = next(entry for entry in fixtures if entry["name"] == "zz")
    assert (zz["hooks"], zz["provides"]) == ([], {})
    assert zz["problems"][0].startswith("ModuleNotFoundError: No module named 'not_installed_lib'")


def test_the_table_of_plugins():
    lines = sf_list().stdout.splitlines()
    assert lines[0].split() == ["PLUGIN", "DISTRIBUTION", "STATUS", "LOAD", "PROVIDES"]
    assert lines[1].split()[:4] == ["core", "sf-core", sf_core.__version__, "ok"]
    rows = {line.split()[0]: line.split() for line in lines[1:] if not line.startswith("  !")}
    assert rows["arcade"][1:4] == ["fixture-arcade", "1.2.0", "ok"]
    assert rows["arcade"][5:] == ["3", "envs,", "1", "encoder,", "1", "wrapper"]
    assert rows["zz"][3] == "broken"
    assert rows["zz"][-1] == "-"
    assert "  ! grid: unknown hook 'sf_enviroments', did you mean 'sf_environments'?" in lines
    assert "  ! late: sf_environments(): RuntimeError: late boom" in lines


def test_all_has_every_key_and_every_entry_has_name_and_plugin():
    answer = listed("all")
    assert list(answer) == [
        "plugins",
        "envs",
        "encoders",
        "cores",
        "decoders",
        "actor_critics",
        "wrappers",
        "observers",
        "presets",
        "args",
        "hooks",
    ]
    for entries in answer.values():
        assert all({"name", "plugin"} <= set(entry) for entry in entries)
    assert [entry["name"] for entry in of_fixtures(answer["observers"])] == ["grid_counter"]
    assert [entry["name"] for entry in of_fixtures(answer["presets"])] == ["grid_fast"]
    assert answer["presets"][0]["values"] == {"gamma": 0.5}


@pytest.mark.parametrize("kind", ["actor-critics", "actor_critics"])
def test_kinds_are_spelt_either_way(kind):
    answer = listed(kind)
    assert list(answer) == ["actor_critics"]
    assert {"auto", "shared", "separate"} <= {entry["name"] for entry in answer["actor_critics"]}


def test_envs_say_what_they_need():
    (entry,) = listed("envs", "doom_basic")["envs"]
    assert entry["requires"] == ["absent_simulator"]
    assert entry["missing"] == ["absent_simulator"]
    assert entry["state"] == "needs absent_simulator"
    assert entry["conflict"] is False
    assert entry["factory"] == "fixture_doom.env:make_doom"
    (grid,) = listed("envs", "grid")["envs"]
    assert (grid["defaults"], grid["args"], grid["metrics"]) == (
        {"gamma": 0.9, "use_rnn": False},
        ["--grid_size"],
        ["distance"],
    )


def test_patterns_and_plugins_select():
    def names(*argv):
        return [entry["name"] for entry in of_fixtures(listed("envs", *argv)["envs"])]

    assert names("ARCADE_") == ["arcade_pong", "arcade_breakout", "arcade_catch"]
    assert names("*_pong") == ["arcade_pong"]
    assert names("doom/") == ["doom_plain", "doom_basic"]
    assert names("--plugin=fixture-grid") == ["grid_walk"]
    assert names("--plugin", "arcade", "*ck*out") == []
    assert names("-p", "no:arcade", "a") == ["doom_plain", "doom_basic", "grid_walk"]
    assert "no envs match 'nothing_like_this'" in sf_list("envs", "nothing_like_this").stdout


def test_the_exit_code_tells_of_broken_plugins_only_when_asked():
    assert sf_list().returncode == 0
    assert sf_list("--check").returncode == 1
    healthy = sf_list("--check", SF_PLUGINS="arcade,doom,grid")
    assert healthy.returncode == 0, healthy.stdout
    assert sf_list("envs", "--check", SF_PLUGINS="late").returncode == 1


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["envz"], "sf-list does not know 'envz', did you mean 'envs'"),
        (["--plugin=grif"], "no plugin has this name, did you mean 'grid'"),
        (["-p", "zz"], "plugin zz (fixture-zz 3.0) is broken: ModuleNotFoundError"),
        (["-p", "absent_file.py"], "there is no such file"),
        (["args", "--env=grid_wlk"], "unknown env 'grid_wlk', did you mean 'grid_walk'"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_makes_no_sense_exits_with_2_and_one_sentence(argv, sentence):
    result = sf_list(*argv)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_verbose_shows_tracebacks_on_stderr():
    result = sf_list("-v")
    assert "fixture_zz" in result.stderr
    assert "Traceback" in result.stderr
    assert "Traceback" not in result.stdout


def test_requirements_can_be_installed_elsewhere():
    result = sf_list("--requirements", SF_PLUGINS="arcade,grid")
    assert result.stdout.splitlines() == [
        "fixture-arcade==1.2.0",
        "fixture-grid==0.1",
        f"sf-core=={sf_core.__version__}",
    ]


def test_flags_of_an_env_with_defaults_and_origins():
    entries = {entry["flag"]: entry for entry in listed("args", "--env=grid_walk")["args"]}
    assert (entries["--gamma"]["default"], entries["--gamma"]["origin"]) == (0.9, "env")
    assert entries["--grid_size"]["default"] == 5
    assert entries["--grid_size"]["plugin"] == "grid"
    assert entries["--grid_colour"]["owner"] == "plugin grid"
    assert entries["--rollout"]["origin"] == "default"
    table = sf_list("args", "grid_", "--env=grid_walk").stdout.splitlines()
    assert table[0].split() == ["FLAG", "DEFAULT", "ORIGIN", "OF"]
    assert table[1].split() == ["--grid_size", "5", "default", "env", "grid_walk", "(plugin", "grid)"]


def test_flags_of_everybody():
    entries = {entry["flag"]: entry for entry in listed("args")["args"]}
    assert entries["--grid_size"]["owner"] == "env grid_walk"
    assert entries["--gamma"]["plugin"] == "core"
    assert entries["--gamma"]["default"] == 0.99  # nobody's env is chosen


def test_hooks_show_who_implements_them():
    who = {}
    for entry in listed("hooks")["hooks"]:
        who.setdefault(entry["name"], []).append(entry["plugin"])
    specified = {name for name, value in vars(hookspecs).items() if hasattr(value, "sf_core_spec")}
    assert set(who) == specified
    assert who["sf_environments"] == ["core", "arcade", "doom", "grid", "late"]
    assert who["sf_configure"] == [""]
    assert any(line.split()[:2] == ["sf_presets", "grid"] for line in sf_list("hooks").stdout.splitlines())


MANY = """
from sf_core import EnvSpec, hookimpl

@hookimpl
def sf_environments():
    for number in range(50):
        yield EnvSpec(name=f"many_{number:02}", factory="pkg:make")
    yield EnvSpec(name="grid_walk", factory="pkg:make")
"""


@pytest.fixture
def many(tmp_path):
    info = tmp_path / "many-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sf_core.plugins]\nmany = many_plugin\n")
    (tmp_path / "many_plugin.py").write_text(MANY)
    return {"path": (DISTS, tmp_path), "SF_PLUGINS": f"{BLOCK_OTHERS},many"}


def test_many_envs_are_shown_in_columns_by_plugin_and_one_by_one_on_request(many):
    text = sf_list("envs", **many).stdout
    assert "many: 50 envs\n" in text
    assert "many: 1 env (CONFLICT)\n  grid_walk\n" in text
    assert "doom: 1 env (needs absent_simulator)" in text
    assert len(text.splitlines()) < 30
    assert max(map(len, text.splitlines())) <= 100
    full = sf_list("envs", "-v", **many).stdout
    assert len(full.splitlines()) > 58


def test_a_conflict_is_shown_on_both_sides(many):
    entries = listed("envs", "grid_walk", **many)["envs"]
    assert [(entry["plugin"], entry["conflict"], entry["state"]) for entry in entries] == [
        ("grid", True, "CONFLICT"),
        ("many", True, "CONFLICT"),
    ]
