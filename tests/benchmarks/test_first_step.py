"""The first step of an env is noted once, and costs nothing afterwards."""

import sys

import pytest
from sf_bench.first_step import VARIABLE, note_first_step, read_time


class Env:
    def step(self, action):
        return action + 1


def test_the_first_step_of_all_is_noted_and_the_env_is_as_before(tmp_path, monkeypatch):
    path = tmp_path / "first"
    monkeypatch.setenv(VARIABLE, str(path))
    first, second = note_first_step(Env()), note_first_step(Env())
    assert read_time(path) is None
    assert first.step(1) == 2
    noted = read_time(path)
    assert noted > 0
    assert (second.step(4), first.step(2)) == (5, 3)
    assert read_time(path) == noted
    assert first.step.__func__ is Env.step


def test_nothing_is_noted_unless_asked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    env = Env()
    assert note_first_step(env) is env
    assert "step" not in vars(env)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_without_a_title_is_found_by_its_name():
    import os
    import subprocess
    from pathlib import Path

    import sf_bench
    from sf_bench.processes import memory_of

    code = "import sys; from sf_bench.first_step import *; name_process('sf2-rollout'); print(1, flush=True)"
    environment = {**os.environ, "PYTHONPATH": str(Path(sf_bench.__file__).parents[1])}
    command = [sys.executable, "-c", f"{code}; sys.stdin.read()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, env=environment, **pipes)
    process.stdout.readline()
    sizes = memory_of(os.getpid(), "sf2-rollout")
    process.communicate()
    assert len(sizes) == 1
    assert sizes[0] > 1
