"""Results grow section by section; tables are made from them and put into a page."""

import json

import pytest
from sf_bench import cli, tables
from sf_bench.results import Results, load

CARTPOLE = {
    "effort": {"choose_s": 8.0},
    "modes": {"sf_core, async": {"rate": 20000.0}, "peer, only": {"error": "exit code 1\nlong story"}},
    "rounds": {
        "sf_core, async": [{"rate": 20000.0, "parameters": 266755, "gradient_steps_per_1000": 1.5625}],
        "peer, only": [{"rate": 4000.0, "parameters": 266755, "gradient_steps_per_1000": 1.5625}],
    },
    "summary": {
        "rows": {
            "sf_core, async": {"framework": "sf_core", "rate": 20000.0, "efficiency": 0.8},
            "peer, only": {"framework": "peer", "rate": 4000.0, "ours_is_faster": {"": 5.0}},
        },
        "limits": {"": {"env_rate": 1e5, "forward_rate": 1e5, "train_rate": 5e4, "epochs": 1, "limit": 25000.0}},
    },
}
SCALING = {
    "cells": [
        {
            "framework": "sf_core",
            "workers": 1,
            "envs_per_worker": 4,
            "rate": 900.0,
            "worker_mb": 30.0,
            "first_step_s": 4.0,
        },
        {"framework": "sf_core", "workers": 2, "envs_per_worker": 4, "error": "took too long\n..."},
        {"framework": "peer", "workers": 1, "envs_per_worker": 1, "rate": 12.5},
    ]
}


def test_sections_that_are_not_measured_again_stay(tmp_path):
    path = tmp_path / "results.json"
    Results(path).put("memory", {"summary": {"python": 20.0}})
    Results(path).put("startup", {"summary": {"sf-list": 0.2}})
    content = load(path)
    assert content["sections"]["memory"]["summary"] == {"python": 20.0}
    assert content["sections"]["startup"]["summary"] == {"sf-list": 0.2}
    assert content["machine"]["cores"] >= 1
    assert [one.name for one in tmp_path.iterdir()] == ["results.json"]


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "package.json"
    path.write_text('{"name": "something"}')
    with pytest.raises(ValueError, match="no results file"):
        Results(path)


def test_training_tables():
    text = tables.training_tables(CARTPOLE)
    assert "| sf_core, async | 20,000 | 0.80 |  | 1.56 | 266,755 |" in text
    assert "| peer, only | 4,000 |  | 5.00× | 1.56 | 266,755 |" in text
    assert "| parts limit | 25,000 | 1 |  |  |  |" in text
    assert "| as it is | 100,000 | 100,000 | 50,000 | 25,000 |" in text
    assert "| peer, only | failed |" in text


def test_scaling_tables_have_a_place_for_what_is_missing():
    text = tables.scaling_tables(SCALING)
    assert "| sf_core, 1 worker |  | 900 |" in text
    assert "| sf_core, 2 workers |  | failed |" in text
    assert "| peer, 1 worker | 12.5 |  |" in text
    assert "| 1 | 30 | – | 4 | – |" in text


def test_what_failed_is_named_in_one_line():
    text = tables.render({"sections": {"cartpole": CARTPOLE, "scaling": SCALING}})
    assert text["cartpole"].endswith("Failed: peer, only: exit code 1")
    assert text["scaling"].endswith("Failed: sf_core 2 x 4: took too long")


def test_a_page_is_filled_between_its_markers_and_again():
    begin, end = "<!-- benchmark: {} -->\n", "<!-- end of benchmark -->\n"
    page = f"a\n{begin.format('memory')}old\n{end}b\n{begin.format('pong')}{end}"
    content = {"sections": {"memory": {"summary": {"python": 20.0}}}}
    filled = tables.fill(page, content)
    made = "| without shared memory | MB |\n|---|---:|\n| python | 20 |"
    assert filled == f"a\n{begin.format('memory')}\n{made}\n\n{end}b\n{begin.format('pong')}{end}"
    assert tables.fill(filled, content) == filled


def test_the_docs_command_writes_the_page(tmp_path, capsys):
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    Results(results).put("memory", {"summary": {"python": 20.0}})
    page.write_text("<!-- benchmark: memory -->\n<!-- end of benchmark -->\n")
    assert cli.main(["docs", f"--json={results}", f"--page={page}"]) == 0
    assert "| python | 20 |" in page.read_text()
    assert cli.main(["tables", f"--json={results}"]) == 0
    assert "| python | 20 |" in capsys.readouterr().out


def test_the_page_of_the_docs_has_a_place_for_every_section():
    names = {match["name"] for match in tables.MARKER.finditer(cli.DOCS.read_text("utf-8"))}
    assert names == {"machine", *cli.SECTIONS}


def test_a_section_that_breaks_leaves_the_others(tmp_path, monkeypatch, capsys):
    def breaks(*args):
        raise OSError("no memory map")

    monkeypatch.setattr("sf_bench.memory.measure_memory", breaks)
    monkeypatch.setattr(
        "sf_bench.startup.measure_startup", lambda peers, n, put, say: put({"summary": {"sf-list": 0.25}})
    )
    path = tmp_path / "results.json"
    assert cli.main(["full", "--only=memory,startup", f"--json={path}", f"--peers={tmp_path}"]) == 1
    sections = json.loads(path.read_text())["sections"]
    assert sections["startup"]["summary"] == {"sf-list": 0.25}
    assert sections["memory"]["errors"] == ["no memory map"]
    out = capsys.readouterr().out
    assert "sf-list | 0.25" in out
    assert "no memory map" in out


def test_an_unknown_section_is_refused(capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["quick", "--only=breakout"])
    assert error.value.code == 2
    assert "choose from cartpole, pong" in capsys.readouterr().err
