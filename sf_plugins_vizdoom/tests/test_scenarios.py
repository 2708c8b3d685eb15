from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile

import pytest

from sf_plugins_vizdoom import fetching, scenarios


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv(scenarios.VARIABLE, raising=False)
    return scenarios.cache_dir()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with small maps in the place where the published one has its own; returns what pip would bring."""
    content = {wad: f"map {wad}".encode() for wad in scenarios.SHA256}
    path = tmp_path / "sample_factory-2.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for wad, data in content.items():
            archive.writestr(f"sf_examples/vizdoom/doom/scenarios/{wad}", data)
        archive.writestr("sample_factory-2.1.1.dist-info/LICENSE", "MIT")
    monkeypatch.setattr(fetching, "_download", lambda directory: path)
    return content


def test_a_users_directory_comes_before_the_variable_and_the_package(tmp_path, cache, monkeypatch):
    chosen, variable = tmp_path / "chosen", tmp_path / "variable"
    for directory in (chosen, variable):
        directory.mkdir()
        (directory / "basic.wad").write_bytes(b"mine")
    assert scenarios.find("basic.wad") == scenarios.shipped_dir() / "basic.wad"
    monkeypatch.setenv(scenarios.VARIABLE, str(variable))
    assert scenarios.find("basic.wad") == variable / "basic.wad"
    assert scenarios.find("basic.wad", chosen) == chosen / "basic.wad"
    assert scenarios.find("battle.wad", chosen) is None


def test_fetching_keeps_what_was_checked_and_the_licence(cache, wheel, monkeypatch, capsys):
    monkeypatch.setattr(fetching, "SHA256", {wad: hashlib.sha256(data).hexdigest() for wad, data in wheel.items()})
    assert scenarios.main(["fetch"]) == 0
    assert "MIT licence" in capsys.readouterr().out
    assert {path.name for path in cache.iterdir()} == {*wheel, "LICENSE.sample-factory"}
    assert scenarios.find("battle.wad") == (cache / "battle.wad").resolve()
    assert fetching.fetch() == []  # all there
    (cache / "battle.wad").write_bytes(b"damaged")
    assert fetching.fetch() == [cache / "battle.wad"]
    assert (cache / "battle.wad").read_bytes() == wheel["battle.wad"]


def test_a_file_other_than_expected_is_refused(cache, wheel, capsys):
    assert scenarios.main(["fetch"]) == 1  # the checksums are those of the published maps
    assert "battle.wad" in capsys.readouterr().err
    assert not cache.exists()


def test_what_pip_says_is_passed_on(cache, monkeypatch):
    def no_network(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no network")

    monkeypatch.setattr(fetching.subprocess, "run", no_network)
    with pytest.raises(fetching.FetchError, match="ERROR: no network"):
        fetching.fetch()


def test_the_command_lists_what_is_missing(cache, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "sf_plugins_vizdoom.scenarios"], capture_output=True, text=True, check=True
    )
    assert "battle.wad           missing: python -m sf_plugins_vizdoom.scenarios fetch" in result.stdout
