import errno
import json
import math

import pytest

from sf_core.runner.files.run_folder import RunFolder, write_json
from sf_core.utils.errors import UsageError


def a_run(tmp_path, text="weights"):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir(exist_ok=True)
    folder.config.write_text('{"schema": 1, "values": {}, "origins": {}}')
    (folder.path / "precious").write_text(text)
    return folder


def test_building_the_object_writes_nothing(tmp_path):
    RunFolder(tmp_path / "runs", "exp")
    assert not (tmp_path / "runs").exists()


def test_resume_keeps_what_is_there(tmp_path):
    folder = a_run(tmp_path)
    folder.prepare("resume")
    folder.release()
    assert (folder.path / "precious").read_text() == "weights"


def test_restart_moves_the_old_run_to_the_first_unused_name(tmp_path):
    for text in ("first", "second"):
        folder = a_run(tmp_path, text)
        folder.prepare("restart")
        folder.release()
    assert (tmp_path / "exp_old0001" / "precious").read_text() == "first"
    assert (tmp_path / "exp_old0002" / "precious").read_text() == "second"
    assert [path.name for path in (tmp_path / "exp").iterdir()] == [".running"]


def test_overwrite_deletes_the_old_run(tmp_path):
    folder = a_run(tmp_path)
    folder.prepare("overwrite")
    folder.release()
    assert [path.name for path in folder.path.iterdir()] == [".running"]


@pytest.mark.parametrize("behavior", ["resume", "restart", "overwrite"])
def test_a_folder_that_holds_no_run_is_never_touched(tmp_path, behavior):
    folder = RunFolder(tmp_path, "exp")
    folder.path.mkdir()
    (folder.path / "thesis.tex").write_text("three years")
    with pytest.raises(UsageError, match=r"no config\.json"):
        folder.prepare(behavior)
    assert (folder.path / "thesis.tex").read_text() == "three years"


@pytest.mark.parametrize("behavior", ["resume", "restart", "overwrite"])
def test_the_config_of_another_program_is_no_run(tmp_path, behavior):
    folder = RunFolder(tmp_path, "exp")
    (folder.path / "paper").mkdir(parents=True)
    folder.config.write_text('{"name": "my web app"}')
    with pytest.raises(UsageError, match=r"no config\.json of one"):
        folder.prepare(behavior)
    assert (folder.path / "paper").is_dir()


def test_a_folder_that_holds_other_runs_is_never_deleted(tmp_path):
    a_run(tmp_path)
    inner = RunFolder(tmp_path / "exp", "inner")
    inner.path.mkdir()
    inner.config.write_text("{}")
    with pytest.raises(UsageError, match="holds other runs"):
        RunFolder(tmp_path, "exp").prepare("overwrite")
    assert inner.path.is_dir()


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another"):
        RunFolder(tmp_path / "file", "exp").check()


def test_json_is_written_whole_with_null_for_what_json_cannot_say(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"reward_mean": math.nan, "nested": [1.5, math.inf], "path": tmp_path})
    assert json.loads(path.read_text()) == {"reward_mean": None, "nested": [1.5, None], "path": str(tmp_path)}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"status": "success"})

    class Unprintable:
        def __str__(self):
            raise RuntimeError("no words")

    with pytest.raises(RuntimeError):
        write_json(path, {"status": Unprintable()})
    assert json.loads(path.read_text()) == {"status": "success"}


def test_a_folder_of_checkpoints_that_nothing_can_be_saved_in_is_refused(tmp_path, monkeypatch):
    folder = a_run(tmp_path)
    folder.checkpoints(0).mkdir()
    folder.check()
    monkeypatch.setattr("os.access", lambda path, mode: "checkpoint_p" not in str(path))
    with pytest.raises(UsageError, match="checkpoint_p0 cannot be written to"):
        folder.check()


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.exists", denied)
    with pytest.raises(UsageError, match=r"exp cannot be read \(Permission denied\); choose another --train_dir"):
        RunFolder(tmp_path, "exp").check()
