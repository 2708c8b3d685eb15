"""What happens to a command that is not the one a checkpoint was written by."""

import json
import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sf_core import ExperimentStatus, UsageError, parse_full_cfg, parse_sf_args, run_rl
from sf_core.runner.reports.progress import Progress
from sf_core.train import make_runner

SMALL = (
    "--serial_mode=True",
    "--seed=3",
    "--rollout=16",
    "--batch_size=64",
    "--num_epochs=1",
    "--num_batches_per_epoch=1",
    "--num_workers=1",
    "--num_envs_per_worker=4",
    "--encoder_mlp_layers",
    "8",
    "--use_rnn=False",
    "--torch_threads=1",
    "--device=cpu",
)
DATASET = 64


def parse(tmp_path, *flags):
    argv = [*SMALL, "--env=CartPole-v1", "--experiment=exp", f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def train(tmp_path, *flags, iterations=2):
    assert run_rl(parse(tmp_path, *flags, f"--train_for_env_steps={iterations * DATASET}")) is ExperimentStatus.SUCCESS


def checkpoint_of(tmp_path, experiment="exp"):
    return max((tmp_path / experiment / "checkpoint_p0").glob("checkpoint_*"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("train_dir")
    train(tmp_path)
    return tmp_path


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained / "exp", tmp_path / "exp")
    return tmp_path


def refusal(*args):
    """The sentence, after making sure that `sf-train` prints it, exits with 2 and writes nothing."""
    with pytest.raises(UsageError) as refused:
        make_runner(parse(*args))
    with pytest.raises(SystemExit) as left:
        run_rl(parse(*args))
    assert left.value.code == 2
    return str(refused.value)


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# ---- resume ----


def test_another_network_is_refused_with_the_flags_that_make_it_one(copy):
    before = contents(copy)
    said = refusal(copy, "--encoder_mlp_layers", "9", "--learning_rate=0.5")
    assert "is of another network: --encoder_mlp_layers was [8] and is [9]; leave them as they were" in said
    assert "learning_rate" not in said
    said = refusal(copy, "--normalize_input=False", "--use_rnn=True")
    assert "--normalize_input was True and is False, --use_rnn was False and is True" in said
    assert contents(copy) == before


def test_other_spaces_are_refused(copy):
    # the name of the env is the same, what it offers is not
    facts = checkpoint_of(copy) / "checkpoint.json"
    saved = json.loads(facts.read_text())
    saved["action_space"]["n"] = 3
    del saved["sha256"]["checkpoint.json"]
    facts.write_text(json.dumps(saved))
    assert "another action space (Discrete 3, not Discrete 2)" in refusal(copy)


def test_changes_are_shown_and_the_command_line_wins(copy, caplog):
    train(copy, "--learning_rate=0.003", "--lr_schedule=constant", "--gamma=0.9", iterations=4)
    said = [record.message for record in caplog.records if record.message.startswith("Changed")]
    assert "Changed: --gamma was 0.98 and is 0.9" in said
    assert "Changed: --train_for_env_steps was 128 and is 256" in said
    report = json.loads((copy / "exp" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (report["lr"], report["env_steps"]) == (0.003, 4 * DATASET)
    result = json.loads((copy / "exp" / "result.json").read_text())
    assert result["resumed_exactly"] is True  # the episodes went on; what is learned from them is another matter


def test_a_run_that_is_continued_unchanged_shows_no_changes(copy, caplog):
    train(copy)
    assert not [record for record in caplog.records if record.message.startswith("Changed")]


def test_reports_of_steps_that_are_done_again_are_not_there_twice(copy):
    train(copy, "--keep_checkpoints=5", iterations=6)
    shutil.rmtree(checkpoint_of(copy))  # as if the run had been killed before it was saved
    train(copy, iterations=4)
    steps = [json.loads(line)["env_steps"] for line in (copy / "exp" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 4 * DATASET
    given_up = (copy / "exp" / "metrics_given_up.jsonl").read_text().splitlines()
    assert [json.loads(line)["env_steps"] for line in given_up] == [6 * DATASET]
    events = EventAccumulator(str(copy / "exp" / ".summary" / "0"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [2 * DATASET, 4 * DATASET]


def test_a_damaged_checkpoint_is_passed_over_and_without_any_the_run_does_not_begin_anew(copy, caplog):
    train(copy, iterations=4)
    newest = checkpoint_of(copy)
    (newest / "sampler.safetensors").write_bytes(b"half")
    train(copy, iterations=6)
    assert f"{newest.name} is damaged" in caplog.text
    assert json.loads((copy / "exp" / "result.json").read_text())["env_steps"] == 6 * DATASET
    for checkpoint in (copy / "exp" / "checkpoint_p0").glob("checkpoint_*"):
        text = (checkpoint / "checkpoint.json").read_text()
        (checkpoint / "checkpoint.json").write_text(text.replace('"env_steps": ', '"env_steps": 1'))
    assert "can be read; put an intact one there" in refusal(copy)


def test_weights_without_an_optimizer_are_for_another_run(copy, caplog):
    checkpoint = checkpoint_of(copy)
    (checkpoint / "optimizer.safetensors").unlink()  # as in a run that was fetched from the hub
    assert "can be read" in refusal(copy)
    assert f"begin another run with --init_from={checkpoint}" in caplog.text
    make_runner(parse(copy, "--experiment=further", f"--init_from={checkpoint}")).parts.worker.close()


def test_a_checkpoint_that_says_nonsense_is_refused_in_a_sentence(copy):
    facts = checkpoint_of(copy) / "checkpoint.json"
    for nonsense in ({"random_state": []}, {"episodes": 3}, {"lr": None}, {"counters": {"a": "b"}}):
        saved = {**json.loads(facts.read_text()), **nonsense}
        saved["sha256"].pop("checkpoint.json", None)
        text = facts.read_text()
        facts.write_text(json.dumps(saved))
        assert "cannot be continued" in refusal(copy)
        facts.write_text(text)


def test_what_was_best_by_another_metric_is_no_bound(copy):
    facts = checkpoint_of(copy) / "checkpoint.json"
    saved = {**json.loads(facts.read_text()), "best_performance": 1e6}
    saved["sha256"].pop("checkpoint.json", None)
    facts.write_text(json.dumps(saved))
    shutil.copytree(copy, copy / "same")
    train(copy / "same", "--save_best_after=0", iterations=4)
    assert not list((copy / "same" / "exp" / "checkpoint_p0").glob("best_*"))
    train(copy, "--save_best_after=0", "--save_best_metric=len", iterations=4)
    assert len(list((copy / "exp" / "checkpoint_p0").glob("best_*_len_*"))) == 1


def test_a_best_checkpoint_that_a_killed_process_has_saved_later_is_a_bound(copy):
    best = ("--save_best_after=0", "--save_best_metric=len")
    train(copy, *best, iterations=4)
    folder = copy / "exp" / "checkpoint_p0"
    (found,) = folder.glob("best_*")
    facts = found / "checkpoint.json"
    saved = {**json.loads(facts.read_text()), "best_performance": 1e6}
    del saved["sha256"]["checkpoint.json"]
    facts.write_text(json.dumps(saved))
    train(copy, *best, iterations=8)
    assert list(folder.glob("best_*")) == [found]


def test_a_run_killed_before_its_first_periodic_checkpoint_goes_on_from_its_best_one(copy, caplog):
    train(copy, "--save_best_after=0", "--save_best_metric=len", iterations=4)
    for checkpoint in (copy / "exp" / "checkpoint_p0").glob("checkpoint_*"):
        shutil.rmtree(checkpoint)
    (copy / "exp" / "result.json").unlink()
    train(copy, iterations=6)
    assert "No latest checkpoint was saved" in caplog.text
    result = json.loads((copy / "exp" / "result.json").read_text())
    assert (result["env_steps"], result["resumed_exactly"]) == (6 * DATASET, True)
    steps = [json.loads(line)["env_steps"] for line in (copy / "exp" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2 * DATASET, 4 * DATASET, 6 * DATASET]


def test_a_result_that_a_killed_process_left_behind_is_not_taken_for_that_of_the_run(copy):
    result = copy / "exp" / "result.json"
    told = result.read_text()
    train(copy)  # it was over before
    assert result.read_text() == told
    train(copy, iterations=4)
    result.write_text(told.replace("success", "interrupted"))  # as if that had been killed when it had saved
    train(copy, iterations=4)
    now = json.loads(result.read_text())
    assert (now["status"], now["env_steps"]) == ("success", 4 * DATASET)


def test_what_another_engine_counted_is_not_forgotten():
    learner = SimpleNamespace(env_steps=0, agent_steps=0, policy_version=0)
    before = {"samples_trained": 5, "late_rewards": 2, "worker_restarts": 3}
    progress = Progress(learner, window=1, frame_skip=1, counters_before=before)
    counted = progress.counted({"late_rewards": 1, "skipped_updates": 4})
    assert {name: counted[name] for name in (*before, "skipped_updates")} == {
        "samples_trained": 5,
        "late_rewards": 3,
        "worker_restarts": 3,
        "skipped_updates": 4,
    }


# ---- --init_from ----


@pytest.mark.parametrize("name", ["exp", "folder", "checkpoint"])
def test_a_run_begins_with_the_weights_of_another(trained, tmp_path, caplog, name):
    caplog.set_level(logging.INFO)
    shutil.copytree(trained / "exp", tmp_path / "exp")
    given = {"exp": "exp", "folder": str(trained / "exp"), "checkpoint": str(checkpoint_of(trained))}[name]
    runner = make_runner(parse(tmp_path, "--experiment=second", f"--init_from={given}"))
    weights = load_file(checkpoint_of(tmp_path) / "model.safetensors")
    mine = runner.parts.policy.weights()
    assert all(np.array_equal(mine[key].numpy(), array) for key, array in weights.items())
    assert (runner.parts.learner.env_steps, runner.parts.learner.policy_version) == (0, 0)
    assert "The weights to begin with are those of" in caplog.text
    runner.parts.worker.close()


def test_once_it_has_a_checkpoint_of_its_own_the_run_continues_that(copy):
    train(copy, "--experiment=second", "--init_from=exp")
    train(copy, "--experiment=second", "--init_from=exp", iterations=4)
    result = json.loads((copy / "second" / "result.json").read_text())
    assert (result["env_steps"], result["resumed_exactly"]) == (4 * DATASET, True)


def test_the_kind_of_checkpoint_to_begin_with_is_not_the_one_to_go_on_from(copy, caplog):
    flags = ("--experiment=second", "--init_from=exp", "--load_checkpoint_kind=best")
    best = ("--save_best_after=0", "--save_best_metric=len", "--stats_avg=1")
    train(copy, *flags, *best, iterations=2)
    train(copy, *flags, *best, iterations=4)  # the same command again
    assert "/second/checkpoint_p0/checkpoint_000000002_128 at 128 env steps" in caplog.text
    train(copy, "--experiment=second", "--load_checkpoint_kind=best", iterations=6)  # asked for without --init_from
    assert "/second/checkpoint_p0/best_000000002_128" in caplog.text


def test_a_run_that_began_with_other_weights_is_continued_like_any_other(copy):
    train(copy, "--experiment=second", "--init_from=exp")
    said = refusal(copy, "--experiment=second", "--encoder_mlp_layers", "9")
    assert "leave them as they were to continue the run" in said


def test_weights_that_do_not_fit_or_are_not_there_are_refused_before_anything_is_written(copy):
    other = ("--experiment=second", "--init_from=exp")
    said = refusal(copy, *other, "--encoder_mlp_layers", "9")
    assert "--encoder_mlp_layers was [8] and is [9]; give the flags that it was trained with" in said
    said = refusal(copy, *other, "--env=Acrobot-v1")
    assert "observation space (obs Box [4], not obs Box [6]): --env was CartPole-v1 and is Acrobot-v1; give" in said
    assert "no run of this name" in refusal(copy, "--experiment=second", "--init_from=nobody")
    assert not (copy / "second").exists()


def test_the_best_weights_can_be_asked_for(copy, caplog):
    train(copy, "--save_best_after=0", "--save_best_every_sec=1", iterations=8)
    assert len(list((copy / "exp" / "checkpoint_p0").glob("best_*_reward_*"))) == 1  # looked at when the run ended
    make_runner(parse(copy, "--experiment=second", "--init_from=exp", "--load_checkpoint_kind=best"))
    assert "checkpoint_p0/best_" in caplog.text
