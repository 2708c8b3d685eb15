import json

from sf_core.runner.files.rewind import rewind_metrics
from sf_core.runner.files.run_folder import RunFolder


def lines(*steps):
    return [json.dumps({"env_steps": step, "reward_mean": None}) for step in steps]


def folder_with(tmp_path, text):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    folder.metrics.write_text(text)
    return folder


def test_reports_after_the_moment_a_run_goes_on_from_are_kept_beside(tmp_path):
    folder = folder_with(tmp_path, "\n".join(lines(0, 100, 200, 300)) + "\n")
    assert rewind_metrics(folder, 200) == 1
    assert folder.metrics.read_text().splitlines() == lines(0, 100, 200)
    assert rewind_metrics(folder, 100) == 1
    assert folder.given_up_metrics.read_text().splitlines() == lines(300, 200)
    assert sorted(file.name for file in folder.path.iterdir()) == ["metrics.jsonl", "metrics_given_up.jsonl"]


def test_half_a_line_of_a_run_that_was_killed_does_not_stay(tmp_path):
    folder = folder_with(tmp_path, "\n".join([*lines(0, 100), '{"env_steps": 1']))
    assert rewind_metrics(folder, 100) == 1
    assert folder.metrics.read_text().splitlines() == lines(0, 100)
    assert folder.given_up_metrics.read_text() == '{"env_steps": 1\n'


def test_nothing_is_written_where_nothing_has_to_be_done_again(tmp_path):
    folder = folder_with(tmp_path, "\n".join(lines(0, 100)) + "\n")
    before = folder.metrics.stat().st_mtime_ns
    assert rewind_metrics(folder, 100) == 0
    assert folder.metrics.stat().st_mtime_ns == before
    assert not folder.given_up_metrics.exists()
    assert rewind_metrics(RunFolder(tmp_path, "new"), 0) == 0
