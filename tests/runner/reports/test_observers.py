import logging
from types import SimpleNamespace

import pytest

from sf_core import TrainingObserver
from sf_core.runner.reports.observers import ObservedRun, ObserverHost
from sf_core.utils.status import ExperimentStatus


class Recorder(TrainingObserver):
    def __init__(self):
        self.calls = []

    def on_start(self, run):
        self.calls.append("start")

    def on_train_step(self, run, policy_id, stats):
        self.calls.append(("train", policy_id, stats))

    def summaries(self, run, policy_id, env_steps):
        return {"mine/steps": env_steps}


class Faulty(Recorder):
    def on_start(self, run):
        super().on_start(run)
        raise RuntimeError("boom")


def host(tmp_path, **kwargs):
    run = ObservedRun({}, SimpleNamespace(), tmp_path, env_steps=lambda policy_id: 7)
    return ObserverHost(run, **kwargs), run


def test_observers_hear_what_happens_and_add_scalars(tmp_path):
    observers, _ = host(tmp_path)
    recorder = Recorder()
    observers.add("recorder", recorder)
    observers.on_start()
    observers.on_train_step(0, "stats")
    assert recorder.calls == ["start", ("train", 0, "stats")]
    assert observers.summaries(0, 640) == {"mine/steps": 640.0}


def test_a_failing_observer_is_switched_off_and_named_while_others_go_on(tmp_path, caplog):
    observers, _ = host(tmp_path)
    faulty, healthy = Faulty(), Recorder()
    observers.add("faulty", faulty, origin="plugin my_env, my-env-plugin 0.1")
    observers.add("healthy", healthy)
    with caplog.at_level(logging.ERROR, "sf_core"):
        observers.on_start()
    observers.on_train_step(0, None)
    assert faulty.calls == ["start"]
    assert healthy.calls == ["start", ("train", 0, None)]
    assert observers.disabled == ["faulty"]
    assert "faulty (plugin my_env, my-env-plugin 0.1)" in caplog.text
    assert "boom" in caplog.text


@pytest.mark.parametrize(("critical", "strict"), [(True, False), (False, True)])
def test_a_critical_or_strict_observer_stops_the_run(tmp_path, critical, strict):
    observers, _ = host(tmp_path, strict=strict)
    observers.add("faulty", Faulty(), critical=critical)
    with pytest.raises(RuntimeError, match="boom"):
        observers.on_start()


def test_requests_reach_the_runner_once(tmp_path):
    observers, run = host(tmp_path)
    assert observers.stop_reason == ""
    run.request_checkpoint()
    run.request_stop("good enough")
    assert (observers.take_checkpoint_request(), observers.take_checkpoint_request()) == (True, False)
    assert observers.stop_reason == "good enough"
    observers.on_stop(ExperimentStatus.SUCCESS)


def test_a_run_offers_observers_nothing_else(tmp_path):
    _, run = host(tmp_path)
    public = {name for name in dir(run) if not name.startswith("_")}
    assert public == {"cfg", "plan", "directory", "env_steps", "metrics", "request_checkpoint", "request_stop"}
    assert run.env_steps() == 7
