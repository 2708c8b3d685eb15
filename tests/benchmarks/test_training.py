"""Best modes, medians and ratios, worked out by hand; what fails is left out and reported."""

import pytest
from sf_bench import training
from sf_bench.contenders import OURS, Contender, Peers
from sf_bench.measure import Measurement
from sf_bench.parts import PartRates
from sf_bench.training import Effort, best_modes, measure_workload, summary, usual_modes
from sf_bench.workloads import CARTPOLE

SERIAL, ASYNC = Contender(OURS, "serial", ()), Contender(OURS, "async", ())
WRAPPED = Contender(OURS, "serial", (), variant="wrapped")
PEER = Contender("peer", "only", ())
ALL = [SERIAL, ASYNC, WRAPPED, PEER]


def test_the_fastest_mode_of_each_entry_is_chosen_and_failures_are_out():
    rates = {SERIAL.name: 10.0, ASYNC.name: 20.0, WRAPPED.name: 5.0, PEER.name: None}
    assert best_modes(ALL, rates) == [ASYNC, WRAPPED]


def test_without_choosing_the_usual_mode_is_taken():
    assert usual_modes(ALL, ("async",)) == [ASYNC, WRAPPED, PEER]


def test_summary():
    section = {
        "rounds": {
            ASYNC.name: [{"rate": 90.0}, {"rate": 100.0}, {"rate": 500.0}],
            WRAPPED.name: [{"rate": 50.0}],
            PEER.name: [{"error": "it broke"}, {"rate": 25.0}],
        },
        # limits: 1 / (1/1000 + 1/500 + 4/2000) = 200
        "parts": {"": [{"env": {"a": 1000.0}, "forward": {"a": 500.0, "b": 400.0}, "train": {"a": 2000.0}}]},
    }
    found = summary(section, [ASYNC, WRAPPED, PEER], epochs=4)
    assert found["limits"][""]["limit"] == pytest.approx(200)
    with_accelerator = summary(section, [ASYNC], epochs=4, device="cuda")
    assert with_accelerator["limits"][""]["limit"] == pytest.approx(250)  # 1 / (1/500 + 4/2000)
    assert found["rows"][ASYNC.name] == {"framework": OURS, "rate": 100.0, "efficiency": pytest.approx(0.5)}
    assert "efficiency" not in found["rows"][WRAPPED.name]  # no parts of its own were measured
    assert found["rows"][PEER.name]["ours_is_faster"] == {"": 4.0, "wrapped": 2.0}


def test_a_contender_that_fails_loses_nothing_of_the_others(monkeypatch, tmp_path, said):
    def measure(contender, **times):
        if contender.mode == "serial":
            return Measurement(error="it broke\nwith a traceback")
        return Measurement(rate=7.0, seconds=1.0, iterations=2)

    def fail(*args, **options):
        raise RuntimeError("no parts")

    monkeypatch.setattr(training, "measure", measure)
    monkeypatch.setattr(training, "measure_parts", fail)
    kept = []
    effort = Effort(seconds=1, warmup_s=0, repeat=2, choose_s=1, part_s=1)
    section = measure_workload(CARTPOLE, Peers(tmp_path), effort, lambda s: kept.append(len(s["modes"])), said.append)
    assert kept[:5] == [1, 2, 3, 4, 5]  # written after every single measurement
    assert section["modes"]["sf_core, serial"] == {
        "error": "it broke\nwith a traceback",
        "seconds": 0.0,
        "iterations": 0,
    }
    assert [one["rate"] for one in section["rounds"]["sf_core, sync, 1 split"]] == [7.0, 7.0]
    assert section["errors"] == ["parts : no parts"] * 2
    assert section["summary"]["rows"]["sf_core, sync, 1 split"]["rate"] == 7.0
    assert any("FAILED: it broke" in line for line in said)


def test_rounds_alternate_and_parts_are_measured_in_each(monkeypatch, tmp_path, said):
    order = []
    monkeypatch.setattr(training, "contenders_of", lambda workload, peers, device: [ASYNC, PEER])
    monkeypatch.setattr(training, "measure", lambda c, **times: (order.append(c.name), Measurement(rate=1.0))[1])
    rates = PartRates({"a": 4.0}, {"a": 4.0}, {"a": 2.0})
    monkeypatch.setattr(training, "measure_parts", lambda *args, **options: (order.append("parts"), rates)[1])
    effort = Effort(seconds=1, warmup_s=0, repeat=2, choose_s=0, part_s=1)
    section = measure_workload(CARTPOLE, Peers(tmp_path), effort, lambda s: None, said.append)
    assert order == [ASYNC.name, PEER.name, "parts"] * 2
    assert section["summary"]["limits"][""]["limit"] == pytest.approx(1.0)
