"""`sf-status`: what runs do, also those that cannot say it themselves any more."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sf_core.cli.status import main
from sf_core.runner.files.run_lock import RunLock

_spec = importlib.util.spec_from_file_location("run_folders", Path(__file__).parent / "run_folders.py")
run_folders = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_folders)
a_run, line = run_folders.a_run, run_folders.line

DIED = json.dumps({"pid": 4711, "host": "far", "since": "2026-01-01T00:00:00+00:00"})


def entries(capsys, *argv):
    assert main([*map(str, argv), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == 1
    return {entry["name"]: entry for entry in answer["runs"]}


@pytest.fixture
def train_dir(tmp_path):
    """One run in each state."""
    done = {"env_steps": 1000, "seconds": 100.0, "fps": 11.0, "reward_mean": 2.0, "reason": "enough"}
    a_run(tmp_path, "finished", result={**done, "status": "success"}, lines=[line(900)])
    a_run(tmp_path, "sweep/interrupted", result={**done, "env_steps": 500, "status": "interrupted"})
    a_run(tmp_path, "failed", result={**done, "status": "failure", "reason": "EnvError: boom"})
    # continued after it had finished, and killed then
    killed = a_run(
        tmp_path, "died", result={**done, "status": "success"}, lines=[line(200), line(250, 1.5)], running=DIED
    )
    (killed / "checkpoint_p0" / "checkpoint_000000002_200").mkdir(parents=True)
    a_run(tmp_path, "new", lines=[])
    return tmp_path


def test_every_state_is_told_from_the_others(train_dir, capsys):
    lock = RunLock(a_run(train_dir, "running", lines=[line(100), line(400, None)]))
    assert lock.acquire()
    try:
        found = entries(capsys, train_dir)
    finally:
        lock.release()
    assert {name: entry["state"] for name, entry in found.items()} == {
        "died": "died",
        "failed": "failed",
        "finished": "finished",
        "new": "died",
        "running": "running",
        "sweep/interrupted": "interrupted",
    }
    running, died = found["running"], found["died"]
    assert (running["env_steps"], running["reward_mean"], running["done"]) == (400, None, 0.4)
    assert running["process"]["pid"] == os.getpid()
    assert (died["env_steps"], died["reward_mean"], died["reason"]) == (250, 1.5, None)  # not its earlier result
    assert died["checkpoint"] == "checkpoint_000000002_200"
    assert 0 <= died["checkpoint_age_s"] < 600
    assert found["failed"]["reason"] == "EnvError: boom"
    assert found["finished"]["fps"] == 11.0


def test_the_table_is_readable_and_says_what_went_wrong(train_dir, capsys):
    assert main([str(train_dir)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["RUN", "STATE", "ENV", "STEPS", "DONE", "RETURN", "FPS", "TIME", "REPORT", "CHECKPOINT"]
    assert lines[1].split()[:6] == ["died", "died", "CartPole-v1", "250", "25", "%"]
    assert lines[1].endswith("s ago")
    assert "  ! died: process 4711 on far is gone without a word" in lines
    assert "  ! failed: EnvError: boom" in lines
    assert lines[-1] == "5 runs: 2 died, 1 failed, 1 finished, 1 interrupted"


@pytest.mark.parametrize("junk", ['"many"', "[1]", "{}", "1e999", "null", "true", "9" * 400])
def test_what_is_no_number_is_not_known(tmp_path, capsys, junk):
    run = a_run(tmp_path, "run", result={"status": "success"}, env=["a", "b"])
    numbers = dict.fromkeys(("env_steps", "seconds", "fps", "reward_mean"), "junk")
    (run / "result.json").write_text(json.dumps({"status": "success", **numbers}).replace('"junk"', junk))
    assert {entries(capsys, tmp_path)["run"][name] for name in (*numbers, "done")} == {None}
    assert main([str(tmp_path)]) == 0


def test_files_of_a_stranger_and_folders_of_somebody_else_are_no_obstacle(tmp_path, capsys, monkeypatch):
    run = a_run(tmp_path, "run", lines=[line(100)])
    deep = "[" * 100_000 + "]" * 100_000
    (run / "result.json").write_text(deep)
    (run / ".running").write_text(deep)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(deep + "\n")
    (tmp_path / "private").mkdir()
    iterdir = Path.iterdir

    def only_mine(folder):
        if folder.name == "private":
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", only_mine)
    assert entries(capsys, tmp_path).keys() == {"run"}


def test_the_newest_checkpoint_is_the_one_with_the_highest_numbers(tmp_path, capsys):
    run = a_run(tmp_path, "run", lines=[line(100)])
    for age_s, name in ((30, "checkpoint_000000009_900"), (20, "checkpoint_000000010_1000"), (0, "checkpoint_p")):
        folder = run / "checkpoint_p0" / name
        folder.mkdir(parents=True)
        os.utime(folder, times=(time.time() - age_s,) * 2)
    os.utime(run / "checkpoint_p0" / "checkpoint_000000009_900")  # as a copy of the run may leave it
    entry = entries(capsys, tmp_path)["run"]
    assert entry["checkpoint"] == "checkpoint_000000010_1000"
    assert entry["checkpoint_age_s"] == pytest.approx(20, abs=5)


def test_what_a_stranger_writes_does_not_reach_the_terminal_as_a_command(tmp_path, capsys):
    a_run(tmp_path, "run", env="x\n\x1b[31my", result={"status": "failure", "reason": "\x1b]0;mine\x07"})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "x??[31my" in out
    assert "  ! run: ?]0;mine?" in out.splitlines()
    assert "\x1b" not in out


def test_half_a_line_at_the_end_is_not_yet_a_report(tmp_path, capsys):
    folder = a_run(tmp_path, "run", lines=[line(100), line(200)])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"env_steps": 30')
    assert entries(capsys, tmp_path)["run"]["env_steps"] == 200


def test_a_run_itself_and_several_folders_can_be_named(train_dir, tmp_path_factory, capsys):
    assert entries(capsys, train_dir / "failed").keys() == {"failed"}
    other = tmp_path_factory.mktemp("other")
    a_run(other, "run")
    assert entries(capsys, other, train_dir / "failed").keys() == {"failed", (other / "run").as_posix()}


@pytest.mark.parametrize(("name", "said"), [("nowhere", "there is no folder"), (".", "holds no runs")])
def test_nothing_to_list_is_one_sentence(tmp_path, monkeypatch, capsys, name, said):
    monkeypatch.chdir(tmp_path)
    assert main([name]) == 2
    assert said in capsys.readouterr().err


def test_a_process_that_is_killed_does_not_read_running(tmp_path, capsys):
    folder = a_run(tmp_path, "run", lines=[line(100)])
    code = f"""
from pathlib import Path
from sf_core.runner.files.run_lock import RunLock
import os, signal
assert RunLock(Path({str(folder)!r})).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert entries(capsys, tmp_path)["run"]["state"] == "died"
