"""Runs to the hub and back: what is sent, what is taken, and from which commit. The hub is in memory."""

import json
import os
import shutil
import time

import pytest

from sf_core.cli.hub import main as sf_hub
from sf_core.model.policy import Policy
from sf_core.share.hub_files import HubFile, RefusedFilesError, largest_size, taken

CHECKPOINT = "checkpoint_p0/checkpoint_000000007_1000"
BEST = "best_000000007_1000_reward_12.345"


@pytest.fixture
def run(run_of):
    """A run with everything that may be beside a checkpoint."""
    folder = run_of()
    (folder / "result.json").write_text(json.dumps({"status": "success", "reward_mean": 12.345}))
    (folder / "replay.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (folder / "plan.json").write_text(
        json.dumps(
            {
                "command": ["/home/me/bin/python", "/home/me/bin/sf-train", "--env=CartPole-v1", "--note=a b"],
                "versions": {"sf-core": "0.1.0", "torch": "2.13"},
                "plugins": {"maze": {"distribution": "maze-plugin", "version": "1.2"}, "core": {}},
                "host": {"name": "secret-machine"},
            }
        )
    )
    for unsent in ("sf_log.txt", "metrics.jsonl", "my_notes.py", "weights.pkl"):
        (folder / unsent).write_text("stays at home")
    return folder


def push(run, *flags):
    return sf_hub(["push", "me/cartpole", f"--train_dir={run.parent}", "--experiment=run", *flags])


def pull(run, *flags):
    return sf_hub(["pull", "me/cartpole", f"--train_dir={run.parent}", *flags])


def test_a_run_goes_to_the_hub_and_comes_back(run, hub, capsys):
    assert push(run) == 0
    sent = hub.files("me/cartpole")
    assert set(sent) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "result.json",
        "replay.mp4",
        f"{CHECKPOINT}/checkpoint.json",
        f"{CHECKPOINT}/model.safetensors",
    }
    assert hub.repositories["me/cartpole"]["private"]
    assert b"secret-machine" not in b"".join(sent.values())
    assert pull(run) == 0
    commit = hub.model_info("me/cartpole").sha
    assert commit in capsys.readouterr().out
    pulled = run.parent / "cartpole"
    origin = json.loads((pulled / "hub.json").read_text())
    assert (origin["repository"], origin["commit"], origin["revision"]) == ("me/cartpole", commit, None)
    assert set(origin["sha256"]) == set(sent) - {".gitattributes"}
    observation = [0.1, -0.2, 0.3, 0.4]
    (_, ours), (_, theirs) = (Policy.load(folder, "cpu").act(observation) for folder in (run, pulled))
    assert (ours == theirs).all()
    policies = [Policy.load(folder, "cpu") for folder in (run, pulled)]
    assert all((a == b).all() for a, b in zip(*(p.weights().values() for p in policies), strict=True))
    assert not list(run.parent.glob(".pulling*"))


def test_plugins_of_this_machine_are_named_before_they_are_sent(run, hub, capsys):
    saved = json.loads((run / "config.json").read_text())
    saved["values"]["plugins"] = ["maze", "/home/me/secret/my_env.py"]
    (run / "config.json").write_text(json.dumps(saved))
    assert push(run, "--dry_run") == 0
    assert "plugins=/home/me/secret/my_env.py" in capsys.readouterr().out


def test_the_card_says_score_command_and_how_to_use_it(run, hub, tmp_path, capsys):
    assert push(run, "--dry_run") == 0
    shown = capsys.readouterr().out
    assert "Nothing was sent" in shown
    assert "name folders of this machine: train_dir=" in shown
    assert hub.repositories == {}
    result = {"reward_mean": 490.5, "reward_std": 3.25, "episodes": 50, "deterministic": True, "checkpoint": BEST}
    shutil.copytree(run / CHECKPOINT, run / "checkpoint_p0" / BEST)
    (tmp_path / "score.json").write_text(json.dumps(result))
    assert push(run, f"--evaluation={tmp_path / 'score.json'}") == 0
    card = hub.files("me/cartpole")["README.md"].decode()
    header, body = card.removeprefix("---\n").split("\n---\n")
    entries = {key: json.loads(value) for key, _, value in (line.partition(": ") for line in header.splitlines())}
    metric = entries["model-index"][0]["results"][0]["metrics"][0]
    assert metric == {"type": "mean_reward", "name": "mean_reward", "value": "490.50 +/- 3.25", "verified": False}
    assert "CartPole-v1" in entries["tags"]
    assert f"**490.50** ± 3.25 (standard deviation) over 50 episodes (greedy actions, checkpoint `{BEST}`)" in body
    assert "\nsf-eval --experiment=cartpole --episodes=50 --eval_deterministic --load_checkpoint_kind=best\n" in body
    assert "sf-train --env=CartPole-v1 '--note=a b'" in body
    assert "/home/me" not in card
    assert "maze-plugin 1.2" in body
    assert "sf-hub pull me/cartpole" in body
    assert "[replay.mp4](replay.mp4)" in body


def test_the_card_of_a_continued_run_says_that_its_command_is_not_all(run, hub):
    continued = "This command continued it"
    assert push(run) == 0
    assert continued not in hub.files("me/cartpole")["README.md"].decode()
    saved = json.loads((run / "config.json").read_text())
    saved["origins"]["gamma"] = "saved"
    (run / "config.json").write_text(json.dumps(saved))
    assert push(run) == 0
    assert continued in hub.files("me/cartpole")["README.md"].decode()


def test_without_an_evaluation_the_card_has_what_training_reported(run, hub):
    assert push(run) == 0
    assert "**12.35** of the last episodes of training" in hub.files("me/cartpole")["README.md"].decode()


def test_the_video_is_the_one_recorded_last(run, hub, capsys):
    for age_s, name in ((20, "replay.mp4"), (10, "replay_3.mp4"), (5, "replay_2.mp4"), (0, "replay_of_mine.mp4")):
        (run / name).write_bytes(name.encode())
        os.utime(run / name, times=(time.time() - age_s,) * 2)
    assert push(run) == 0
    assert hub.files("me/cartpole")["replay.mp4"] == b"replay_2.mp4"
    assert "replay.mp4 (replay_2.mp4)" in capsys.readouterr().out
    assert "replay_2.mp4" not in hub.files("me/cartpole")


def test_a_checkpoint_that_is_replaced_meanwhile_is_a_sentence(run, hub, monkeypatch, capsys):
    make = hub.create_repo

    def slow(repo_id, **options):
        make(repo_id, **options)
        (run / CHECKPOINT / "model.safetensors").unlink()

    monkeypatch.setattr(hub, "create_repo", slow)
    assert push(run) == 2
    assert "model.safetensors cannot be copied (No such file or directory); push again" in capsys.readouterr().err
    assert set(hub.files("me/cartpole")) == {".gitattributes"}


def test_the_score_of_a_checkpoint_that_stays_at_home_is_refused(run, hub, tmp_path, capsys):
    result = {"reward_mean": 9.5, "reward_std": 3.25, "episodes": 50, "deterministic": True}
    for name, code in (("checkpoint_000000003_500", 2), ("checkpoint_000000007_1000", 0)):
        (tmp_path / "score.json").write_text(json.dumps({**result, "checkpoint": name}))
        assert push(run, f"--evaluation={tmp_path / 'score.json'}") == code
    assert "score.json is of checkpoint_000000003_500, which is neither the newest" in capsys.readouterr().err


def test_what_is_no_evaluation_is_refused(run, hub, capsys):
    assert push(run, f"--evaluation={run / 'result.json'}") == 2
    assert "is not what sf-eval --output=FILE.json writes" in capsys.readouterr().err
    assert hub.repositories == {}


def test_a_public_repository_is_not_written_to_unless_asked(run, hub, capsys):
    hub.create_repo("me/cartpole", private=False, repo_type="model", exist_ok=True)
    assert push(run) == 2
    assert "is public already; add --public" in capsys.readouterr().err
    assert set(hub.files("me/cartpole")) == {".gitattributes"}
    assert push(run, "--public") == 0


def test_a_later_push_replaces_the_checkpoints_and_an_earlier_commit_can_be_pulled(run, hub):
    assert push(run) == 0
    first = hub.model_info("me/cartpole").sha
    (run / CHECKPOINT).rename(run / "checkpoint_p0" / "checkpoint_000000009_2000")
    assert push(run) == 0
    assert pull(run, "--experiment=new") == 0
    assert pull(run, "--experiment=old", f"--revision={first}") == 0
    names = [[p.name for p in (run.parent / name / "checkpoint_p0").iterdir()] for name in ("old", "new")]
    assert names == [["checkpoint_000000007_1000"], ["checkpoint_000000009_2000"]]
    assert json.loads((run.parent / "old" / "hub.json").read_text())["revision"] == first


def test_a_run_that_is_there_is_not_overwritten(run, hub, capsys):
    assert push(run) == 0
    assert pull(run, "--experiment=run") == 2
    assert "is there already" in capsys.readouterr().err
    assert (run / "plan.json").exists()
    assert hub.asked_for == []


def test_neither_is_one_that_somebody_makes_meanwhile_nor_a_link(run, hub, capsys, monkeypatch):
    assert push(run) == 0
    (run.parent / "link").symlink_to("nowhere")
    assert pull(run, "--experiment=link") == 2
    download = hub.hf_hub_download

    def while_another_does(*args, **kwargs):
        (run.parent / "new").mkdir(exist_ok=True)
        (run.parent / "new" / "precious").touch()
        return download(*args, **kwargs)

    monkeypatch.setattr(hub, "hf_hub_download", while_another_does)
    assert pull(run, "--experiment=new") == 2
    assert "new cannot be made" in capsys.readouterr().err
    assert [path.name for path in (run.parent / "new").iterdir()] == ["precious"]
    assert not list(run.parent.glob(".pulling*"))


@pytest.mark.parametrize("name", ["../elsewhere", "..", "a/b"])
def test_a_run_is_not_put_anywhere_else(run, hub, name, capsys):
    assert push(run) == 0
    assert pull(run, f"--experiment={name}") == 2
    assert "has a folder in it" in capsys.readouterr().err


def test_only_files_of_a_run_are_fetched(run, hub, capsys):
    assert push(run) == 0
    extra = ["train.py", "policy.pkl", "checkpoint_p0/x.pt", ".git/config", "plan.json", "../../up/config.json"]
    hub.commit("me/cartpole", {**hub.files("me/cartpole"), **dict.fromkeys(extra, b"import os")})
    hub.asked_for.clear()
    assert pull(run) == 0
    assert not set(hub.asked_for) & set(extra)
    assert "Left there, since a run has no such files: " in capsys.readouterr().out
    found = {path.relative_to(run.parent / "cartpole").as_posix() for path in (run.parent / "cartpole").rglob("*")}
    assert not found & set(extra)


@pytest.mark.parametrize(
    "path",
    [
        "config.json.py",
        "a/config.json",
        "Config.json",
        "checkpoint_p0/model.safetensors",
        "checkpoint_p0/../x/model.safetensors",
        "checkpoint_p0/checkpoint_1_2/optimizer.safetensors",
        "checkpoint_p0/best_1_2_/../model.safetensors",
        "checkpoint_p0/checkpoint_１_2/model.safetensors",
        "checkpoint_p0/checkpoint_1_2/model.safetensors\n",
        "/config.json",
        "hub.json",
    ],
)
def test_paths_that_no_run_has_are_not_taken(path):
    assert largest_size(path) is None


def test_large_files_and_unknown_sizes_are_refused():
    run = [HubFile("config.json", 10), HubFile(f"{CHECKPOINT}/checkpoint.json", 10)]
    model = f"{CHECKPOINT}/model.safetensors"
    assert taken([*run, HubFile(model, 10), HubFile("x.py", 1)])[1] == ["x.py"]
    for size in (-1, 10**12):
        with pytest.raises(RefusedFilesError, match="at most"):
            taken([*run, HubFile(model, size)])
    with pytest.raises(RefusedFilesError, match="no run of sf-core"):
        taken(run)
    with pytest.raises(RefusedFilesError, match="at most 64"):
        taken([*run, *(HubFile(f"checkpoint_p0/checkpoint_{n}_1/model.safetensors", 1) for n in range(64))])


def test_a_file_that_is_not_as_announced_is_refused(run, hub, monkeypatch, capsys):
    assert push(run) == 0
    longer = hub.hf_hub_download

    def download(repo_id, filename, *, revision, local_dir):
        path = longer(repo_id, filename, revision=revision, local_dir=local_dir)
        with open(path, "ab") as file:
            file.write(b" " * 100)
        return path

    monkeypatch.setattr(hub, "hf_hub_download", download)
    assert pull(run) == 1
    assert "is not the file that the hub announced" in capsys.readouterr().err
    assert sorted(path.name for path in run.parent.iterdir()) == ["run"]


def test_what_the_hub_says_is_one_sentence(run, hub, capsys):
    assert pull(run) == 1
    assert capsys.readouterr().err == "error: me/cartpole could not be looked at: 404 Client Error\n"
    assert sf_hub(["pull", "no-slash"]) == 2
    assert "write user/name" in capsys.readouterr().err


def test_without_the_client_it_says_what_to_install(run, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert pull(run) == 2
    assert "pip install 'sf-core[hub]'" in capsys.readouterr().err
