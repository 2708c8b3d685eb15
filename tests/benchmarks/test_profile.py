"""Where time goes, from what a run writes down."""

import os
from types import SimpleNamespace

import pytest
from sf_bench import profile

from sf_core.runner.processes import crew


def test_processes_work_or_wait():
    report = {
        "agent_steps": 5000,
        "seconds": 10.0,
        "time": {"env": 2.0, "env_waiting": 8.0, "inference": 9.0, "inference_waiting": 1.0},
        "bottleneck": "Inference is the bottleneck",
    }
    text = profile.time_table(report)
    assert "5,000 agent steps in 10.0 s: 500 per second" in text
    assert "| env | 2.0 | 8.0 | 20 % |" in text
    assert "| inference | 9.0 | 1.0 | 90 % |" in text
    assert text.endswith("Inference is the bottleneck")


def test_parts_of_a_serial_run_share_its_time():
    text = profile.time_table({"agent_steps": 10, "seconds": 4.0, "time": {"other": 0.0, "env": 1.0, "learner": 3.0}})
    assert "| env | 1.0 |  | 25 % |" in text
    assert "| learner | 3.0 |  | 75 % |" in text


@pytest.mark.parametrize("leaves_at_once", [False, True])
def test_the_body_of_a_process_is_profiled_however_it_ends(tmp_path, monkeypatch, leaves_at_once):
    monkeypatch.setenv(profile.VARIABLE, str(tmp_path))
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(profile.cProfile, "Profile", FakeProfile)

    def body(role, word):
        assert (role.title, word) == ("sf-rollout 0", "go")
        if leaves_at_once:
            os._exit(3)

    profile.run_profiled(SimpleNamespace(title="sf-rollout 0"), body, "go")
    assert (tmp_path / "sf-rollout_0.prof").read_text() == "dumped"
    assert left == ([3] if leaves_at_once else [])


def test_the_engines_processes_are_started_through_the_profiler_and_no_longer(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(crew, "start_process", lambda role, target, *args: started.append((role, target, args)))
    before = crew.start_process
    monkeypatch.setattr(profile.cProfile, "Profile", FakeProfile)
    with profile.profiled_processes(tmp_path):
        crew.start_process("role", print, 1)
    assert started == [("role", profile.run_profiled, (print, 1))]
    assert crew.start_process is before
    assert (tmp_path / "runner.prof").exists()


class FakeProfile:
    """cProfile refuses to run inside of another profiler."""

    def enable(self):
        pass

    def disable(self):
        pass

    def dump_stats(self, path):
        path.write_text("dumped")
