"""What W&B gets, and that nothing it does reaches the training: with a stand-in, and with the real one where it is."""

import importlib.util
import json
import logging
import shutil
import time

import pytest

from sf_core import ExperimentStatus, parse_full_cfg, parse_sf_args
from sf_core.plugins import planning
from sf_core.plugins.manager import get_manager
from sf_core.runner.reports import wandb_observer
from sf_core.runner.reports.observers import ObservedRun
from sf_core.runner.reports.wandb_observer import WandbObserver

STAND_IN = """
import json, os, sys, time
from pathlib import Path

def note(**call):
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(json.dumps(call) + "\\n")

def Settings(**settings):
    return settings

class Run:
    url = "https://wandb.example/run"
    dir = "/offline-run/files"
    def log(self, scalars, step):
        note(call="log", step=step, scalars=scalars)
        {on_log}
    def finish(self, exit_code):
        note(call="finish", exit_code=exit_code)

def init(**arguments):
    note(call="init", **arguments)
    {on_init}
    print("chatter")
    return Run()
"""


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """Installs a stand-in for the package; returns what it was told so far."""
    (tmp_path / "packages").mkdir()
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    def install(on_init="pass", on_log="pass"):
        text = STAND_IN.replace("{on_init}", on_init).replace("{on_log}", on_log)
        (tmp_path / "packages" / "wandb.py").write_text(text)

    def calls():
        return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]

    install()
    calls.install = install
    return calls


def cfg_of(tmp_path, *flags):
    argv = ["--env=CartPole-v1", "--experiment=exp", f"--train_dir={tmp_path}", "--with_wandb=True", *flags]
    argv.append(f"--wandb_dir={tmp_path / 'local'}")
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def watched(tmp_path, *flags, reports=2):
    """A run as an observer sees it, from begin to end; returns how long the observer kept it, in seconds."""
    cfg = cfg_of(tmp_path, *flags)
    directory = tmp_path / "exp"
    directory.mkdir(exist_ok=True)
    run = ObservedRun(cfg, None, directory, lambda policy_id: 0)
    observer = WandbObserver(cfg)
    begin = time.monotonic()
    observer.on_start(run)
    for index in range(1, reports + 1):
        observer.on_report(run, 0, 100 * index, {"reward/reward": 1.5 * index})
    while_training = time.monotonic() - begin
    observer.on_stop(run, ExperimentStatus.SUCCESS)
    return while_training


def test_the_flag_chooses_the_observer_once(tmp_path, wandb):
    for flags in ((), ("--observers", "wandb")):
        plan = planning.build_plan(cfg_of(tmp_path, *flags), get_manager())
        assert [observer.qualified for observer in plan.observers] == ["core/wandb"]


def test_reports_arrive_with_env_steps_as_the_step_and_the_end_is_told(tmp_path, wandb, caplog):
    caplog.set_level(logging.INFO, "sf_core")
    watched(tmp_path, "--wandb_user=me", "--wandb_group=mine", "--wandb_tags", "a", "b")
    init, *logged, finish = wandb()
    assert [(call["step"], call["scalars"]) for call in logged] == [
        (100, {"reward/reward": 1.5}),
        (200, {"reward/reward": 3.0}),
    ]
    assert finish == {"call": "finish", "exit_code": 0}
    expected = {"entity": "me", "project": "sample_factory", "group": "mine", "job_type": "SF", "tags": ["a", "b"]}
    assert expected.items() <= init.items()
    assert init["name"] == "exp"
    assert init["config"]["env"] == "CartPole-v1"
    assert init["dir"] == str(tmp_path / "local")
    assert "W&B: https://wandb.example/run" in caplog.messages


def test_the_group_is_the_env_unless_said_and_a_continued_run_continues_its_wandb_run(tmp_path, wandb):
    watched(tmp_path)
    watched(tmp_path)
    first, second = (call for call in wandb() if call["call"] == "init")
    assert first["group"] == "CartPole-v1"
    assert first["resume"] == "allow"
    assert first["id"] == second["id"] == json.loads((tmp_path / "exp" / "wandb.json").read_text())["id"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"on_init": "raise RuntimeError('no key')"}, "RuntimeError: no key"),
        ({"on_log": "raise OSError('disk full')"}, "OSError: disk full"),
        ({"on_log": "os._exit(3)"}, "exit code 3"),
    ],
)
def test_a_failing_wandb_is_one_warning(tmp_path, wandb, caplog, trouble, said):
    wandb.install(**trouble)
    cfg = cfg_of(tmp_path)
    run = ObservedRun(cfg, None, tmp_path, lambda policy_id: 0)
    observer = WandbObserver(cfg)
    observer.on_start(run)
    observer.on_report(run, 0, 100, {"reward/reward": 1.0})
    deadline = time.monotonic() + 60
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.02)
    for _ in range(3):
        observer.on_report(run, 0, 200, {"reward/reward": 1.0})
    observer.on_stop(run, ExperimentStatus.FAILURE)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert said in warnings[0]
    assert "training goes on without it" in warnings[0]


def test_a_hanging_wandb_neither_holds_up_reports_nor_the_end_of_the_run(tmp_path, wandb, caplog, monkeypatch):
    wandb.install(on_init="time.sleep(600)")
    monkeypatch.setattr(wandb_observer, "_SHORT_WAIT_S", 0.1)
    monkeypatch.setattr(wandb_observer, "_LONG_WAIT_S", 0.5)
    # more than the queue and the pipe hold
    assert watched(tmp_path, reports=5 * wandb_observer._MOST_WAITING) < 30
    assert "W&B did not finish within" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_the_real_one_offline(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sf_core")
    monkeypatch.setenv("WANDB_MODE", "offline")
    watched(tmp_path)
    (offline,) = (tmp_path / "local" / "wandb").glob("offline-run-*")
    (recorded,) = offline.glob("run-*.wandb")
    assert b"reward/reward" in recorded.read_bytes()
    assert f"W&B: offline, in {offline}" in caplog.messages


def test_a_run_that_was_moved_keeps_its_id_and_a_copy_has_its_own(tmp_path):
    (tmp_path / "run").mkdir()
    first = wandb_observer._id_of(tmp_path / "run")
    assert wandb_observer._id_of(tmp_path / "run") == first
    (tmp_path / "run").rename(tmp_path / "moved")
    assert wandb_observer._id_of(tmp_path / "moved") == first
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    copied = wandb_observer._id_of(tmp_path / "copy")
    assert copied != first
    assert (wandb_observer._id_of(tmp_path / "copy"), wandb_observer._id_of(tmp_path / "moved")) == (copied, first)
    (tmp_path / "copy" / "wandb.json").write_text('{"schema": 1, "id": "of-before"}')
    assert wandb_observer._id_of(tmp_path / "copy") == "of-before"
    (tmp_path / "copy" / "wandb.json").write_text("half")
    assert len(wandb_observer._id_of(tmp_path / "copy")) == 12
