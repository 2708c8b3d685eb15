import errno
import json
import logging
import os
import pickle

import pytest
import torch

from sf_core.learner import checkpoint_folder
from sf_core.learner.checkpoint import Checkpointer, LearnerState, best, latest, load_checkpoint
from sf_core.learner.checkpoint_folder import read_checkpoint, write_checkpoint
from sf_core.model.checkpoint_files import DamagedCheckpointError, load_saved_policy
from sf_core.utils.errors import UsageError

FILES = {"model.safetensors", "optimizer.safetensors", "checkpoint.json"}


def state(version=1, env_steps=None, fill=None):
    fill = float(version) if fill is None else fill
    return LearnerState(
        model={"b": torch.full((2,), fill), "a.weight": torch.full((3, 2), fill, dtype=torch.float64)},
        optimizer={"exp_avg.b": torch.full((2,), fill + 1), "step.b": torch.tensor(fill)},
        facts={"policy_version": version, "env_steps": 100 * version if env_steps is None else env_steps},
    )


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_was_saved_is_read_back(tmp_path):
    path = Checkpointer(tmp_path / "checkpoint_p0").save(state(7), {"seconds": 1.5, "num_agents": 4})
    assert path == tmp_path / "checkpoint_p0" / "checkpoint_000000007_700"
    assert set(names(path)) == FILES
    checkpoint = read_checkpoint(path)
    assert (checkpoint.policy_version, checkpoint.env_steps) == (7, 700)
    assert checkpoint.facts["seconds"] == 1.5
    assert checkpoint.facts["schema"] == 1
    assert checkpoint.model["a.weight"].dtype == torch.float64
    for got, saved in ((checkpoint.model, state(7).model), (checkpoint.optimizer, state(7).optimizer)):
        assert set(got) == set(saved)
        assert all(torch.equal(got[name], x) for name, x in saved.items())


def test_equal_weights_are_equal_bytes_whatever_their_order_layout_and_description(tmp_path):
    image = torch.randn(2, 3, 4, 5)
    for name, model in (
        ("one", {"x": image, "y": torch.ones(2)}),
        ("two", {"y": torch.ones(2), "x": image.contiguous(memory_format=torch.channels_last)}),
    ):
        write_checkpoint(tmp_path / name, model, {}, {"policy_version": 1, "env_steps": 1, "name": name})
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"__metadata__" not in one


def test_tensors_that_share_memory_are_saved_in_full(tmp_path):
    shared = torch.arange(4.0)
    write_checkpoint(tmp_path / "x", {"a": shared, "b": shared[:2]}, {}, {"policy_version": 1, "env_steps": 1})
    assert read_checkpoint(tmp_path / "x").model["b"].tolist() == [0.0, 1.0]


def test_the_newest_few_are_kept(tmp_path):
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=2)
    for version in (1, 2, 3, 4):
        checkpointer.save(state(version), {})
    assert names(tmp_path) == ["checkpoint_000000003_300", "checkpoint_000000004_400"]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_run_that_goes_on_from_an_earlier_state_keeps_the_branch_it_left_among_the_milestones(tmp_path, keep):
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=keep)
    for version in (240, 320):
        checkpointer.save(state(version), {})
    path = checkpointer.save(state(280), {})  # after 240, say
    assert latest(tmp_path) == path
    assert path.is_dir()
    assert names(tmp_path / "milestones") == ["checkpoint_000000320_32000"]
    before = ["checkpoint_000000240_24000"] if keep == 2 else []
    assert names(tmp_path) == [*before, "checkpoint_000000280_28000", "milestones"]


def test_branches_that_were_given_up_do_not_replace_each_other(tmp_path):
    # each goes on from version 200, and counts its versions as the one before did
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=1)
    for branch in (1.0, 2.0, 3.0):
        checkpointer.save(state(400, fill=branch), {})  # the first save of the branch is already its last
    assert names(tmp_path) == ["checkpoint_000000400_40000", "milestones"]
    kept = ["checkpoint_000000400_40000", "checkpoint_000000400_40000_old0001"]
    assert names(tmp_path / "milestones") == kept
    checkpointer.save(state(300, fill=4.0), {})
    assert names(tmp_path) == ["checkpoint_000000300_30000", "milestones"]
    kept.append("checkpoint_000000400_40000_old0002")
    assert names(tmp_path / "milestones") == kept
    assert [read_checkpoint(tmp_path / "milestones" / name).model["b"][0] for name in kept] == [1.0, 2.0, 3.0]


def test_milestones_of_branches_do_not_replace_each_other_either(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    for branch in (1.0, 2.0, 2.0):
        checkpointer.save_milestone(state(400, fill=branch), {})
    milestones = ["checkpoint_000000400_40000", "checkpoint_000000400_40000_old0001"]
    assert names(tmp_path / "milestones") == milestones
    assert [read_checkpoint(tmp_path / "milestones" / name).model["b"][0] for name in milestones] == [2.0, 1.0]
    # what was given up and is a milestone already is there once
    for version, fill in ((400, 2.0), (300, 3.0)):
        checkpointer.save(state(version, fill=fill), {})
    assert names(tmp_path / "milestones") == milestones


def test_a_disk_that_is_full_once_the_checkpoint_is_saved_is_a_warning_too(tmp_path, caplog, monkeypatch):
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(state(2), {})
    with monkeypatch.context() as patch:

        def full(path, *args, real=checkpoint_folder.Path.mkdir, **kwargs):
            if path.name == "milestones":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(path, *args, **kwargs)

        patch.setattr(checkpoint_folder.Path, "mkdir", full)
        assert checkpointer.save(state(1), {}) is not None
    assert "Disk full" in caplog.text
    assert names(tmp_path) == ["checkpoint_000000001_100", "checkpoint_000000002_200"]


def test_newest_is_a_matter_of_numbers_not_of_text(tmp_path):
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=9)
    checkpointer.save(state(5, env_steps=90), {})
    checkpointer.save(state(5, env_steps=1000), {})
    for version in (999_999_999, 1_000_000_000):  # as text, the second sorts first
        checkpointer.save(state(version), {})
    assert latest(tmp_path).name == "checkpoint_1000000000_100000000000"
    assert [int(p.name.split("_")[2]) for p in sorted(tmp_path.glob("*_000000005_*"))] == [1000, 90]


def test_nothing_saved_means_none(tmp_path):
    assert latest(tmp_path / "missing") is None
    assert best(tmp_path) is None
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path, "best") is None


def test_one_best_is_kept_beside_the_periodic_ones_and_milestones_for_ever(tmp_path):
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=1)
    for version in (1, 2, 3):
        checkpointer.save(state(version), {})
        checkpointer.save_milestone(state(version), {})
        if version < 3:
            checkpointer.save_best(state(version), {}, metric="policy_stats/avg kills", value=version + 0.25)
    assert names(tmp_path) == [
        "best_000000002_200_policy_stats_avg_kills_2.250",
        "checkpoint_000000003_300",
        "milestones",
    ]
    assert len(names(tmp_path / "milestones")) == 3
    assert checkpointer.load("best").policy_version == 2
    assert best(tmp_path).name.startswith("best_000000002")
    assert checkpointer.load("latest").policy_version == 3


def test_best_before_any_best_was_saved_is_the_latest_with_a_warning(tmp_path, caplog):
    Checkpointer(tmp_path).save(state(3), {})
    assert load_checkpoint(tmp_path, "best").policy_version == 3
    assert "No best checkpoint" in caplog.text


def test_a_run_killed_before_its_first_periodic_checkpoint_goes_on_from_what_there_is(tmp_path, caplog):
    Checkpointer(tmp_path).save_milestone(state(2), {})
    assert load_checkpoint(tmp_path).policy_version == 2
    Checkpointer(tmp_path).save_best(state(3), {}, metric="reward", value=1.0)
    assert load_checkpoint(tmp_path).policy_version == 3
    assert "No latest checkpoint was saved" in caplog.text
    assert load_saved_policy(tmp_path).facts["policy_version"] == 3
    newest = Checkpointer(tmp_path).save(state(1), {})
    assert load_checkpoint(tmp_path).policy_version == 1
    truncate(newest / "model.safetensors")
    assert load_checkpoint(tmp_path).policy_version == 3


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def pickle_bomb(path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(path.parent / "executed"),))

    path.write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize("damage", [truncate, flip_bit, pickle_bomb, lambda path: path.unlink()])
@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, caplog, file, damage):
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(state(1), {})
    newest = checkpointer.save(state(2), {})
    damage(newest / file)
    assert checkpointer.load().policy_version == 1
    assert "checkpoint_000000002_200 is damaged" in caplog.text
    assert not (newest / "executed").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": 0}',
        '{"schema": "2"}',
        '{"schema": 1}',
        '{"schema": 1, "sha256": 3}',
        "[" * 99999,
    ],
)
def test_a_damaged_json_part_is_told_apart_from_a_crash(tmp_path, text):
    path = Checkpointer(tmp_path).save(state(1), {})
    (path / "checkpoint.json").write_text(text)
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(path)


def test_if_no_checkpoint_can_be_read_the_run_does_not_start_anew(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    for version in (1, 2):
        truncate(checkpointer.save(state(version), {}) / "checkpoint.json")
    with pytest.raises(UsageError, match="None of the 2 checkpoints"):
        checkpointer.load()


def test_what_a_later_version_wrote_is_not_taken_for_damaged(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(state(1), {})
    facts = checkpointer.save(state(2), {}) / "checkpoint.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "schema": 2}))
    for read in (checkpointer.load, lambda: load_saved_policy(tmp_path)):
        with pytest.raises(UsageError, match="has schema 2, this sf_core reads 1; use the version that wrote it"):
            read()


@pytest.mark.parametrize("stage", ["open", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_warning_and_the_last_good_checkpoint_stays(tmp_path, caplog, monkeypatch, code, stage):
    checkpointer = Checkpointer(tmp_path, keep_checkpoints=1)
    checkpointer.save(state(1), {})
    with monkeypatch.context() as patch:

        def full(*args):
            raise OSError(code, os.strerror(code))

        patch.setattr(checkpoint_folder.os, "fsync", full) if stage == "open" else patch.setattr(
            checkpoint_folder.Path, "rename", full
        )
        assert checkpointer.save(state(2), {}) is None
    assert "Disk full" in caplog.text
    assert names(tmp_path) == ["checkpoint_000000001_100"]
    assert checkpointer.save(state(3), {}) is not None
    assert names(tmp_path) == ["checkpoint_000000003_300"]


def test_other_errors_of_the_disk_are_not_swallowed(tmp_path, monkeypatch):
    def denied(*args):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(checkpoint_folder.os, "fsync", denied)
    with pytest.raises(PermissionError):
        Checkpointer(tmp_path).save(state(1), {})
    assert names(tmp_path) == []


def test_a_save_cut_short_is_not_found_and_is_cleared_away_by_the_next(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(state(1), {})
    partial = tmp_path / ".partial_checkpoint_000000002_200"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert not list(tmp_path.glob("checkpoint_*2_200"))
    assert latest(tmp_path).name == "checkpoint_000000001_100"
    checkpointer.save(state(3), {})
    assert names(tmp_path) == ["checkpoint_000000001_100", "checkpoint_000000003_300"]


def test_every_file_and_both_folders_are_flushed_before_and_after_the_rename(tmp_path, monkeypatch):
    events = []
    real_fsync, real_rename = os.fsync, checkpoint_folder.Path.rename

    def fsync(descriptor):
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real_fsync(descriptor)

    def rename(path, target):
        events.append("rename")
        return real_rename(path, target)

    monkeypatch.setattr(checkpoint_folder.os, "fsync", fsync)
    monkeypatch.setattr(checkpoint_folder.Path, "rename", rename)
    path = Checkpointer(tmp_path / "run").save(state(1), {})
    assert set(events[:3]) == FILES
    assert events[3:] == [f".partial_{path.name}", "rename", "run"]


def test_saving_the_same_state_again_keeps_the_folder_and_another_state_replaces_it(tmp_path):
    def save(fill, number):
        return Checkpointer(tmp_path).save_best(state(1, fill=fill), {"try": number}, metric="reward", value=1.0)

    path = save(1.0, 1)
    save(1.0, 2)
    assert read_checkpoint(path).facts["try"] == 1
    save(5.0, 3)
    assert read_checkpoint(path).facts["try"] == 3
    truncate(path / "model.safetensors")
    save(5.0, 4)
    assert read_checkpoint(path).facts["try"] == 4
    assert names(tmp_path) == [path.name]


def test_json_has_no_words_for_infinity(tmp_path):
    path = Checkpointer(tmp_path).save(state(1), {"best_performance": float("-inf"), "sizes": (1, 2)})
    facts = json.loads((path / "checkpoint.json").read_text(), parse_constant=pytest.fail)
    assert facts["best_performance"] is None
    assert facts["sizes"] == [1, 2]


def test_loading_does_not_log_anything_when_all_is_well(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(state(1), {})
    assert checkpointer.load().policy_version == 1
    assert caplog.text == ""
