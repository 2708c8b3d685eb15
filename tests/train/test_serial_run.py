"""The smallest runs that cross every part: sampler, learner, files, resume, stop."""

import errno
import json
import os
import re
import signal
import time
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sf_core import ExperimentStatus, Policy, TrainingObserver, UsageError, parse_full_cfg, parse_sf_args, run_rl
from sf_core.envs.env_utils import register_env
from sf_core.plugins.script import forget_registrations
from sf_core.train import make_runner

SMALL = (
    "--env=CartPole-v1",
    "--serial_mode=True",
    "--seed=3",
    "--rollout=16",
    "--batch_size=128",
    "--num_epochs=2",
    "--num_batches_per_epoch=1",
    "--encoder_mlp_layers",
    "16",
    "--torch_threads=1",
    "--experiment=exp",
)
DATASET = 128


def parse(tmp_path, *flags):
    argv = [*SMALL, f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def train(tmp_path, *flags):
    return run_rl(parse(tmp_path, *flags))


def newest_weights(tmp_path):
    checkpoint = sorted((tmp_path / "exp" / "checkpoint_p0").glob("checkpoint_*"))[-1]
    return (checkpoint / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("train_dir")
    assert train(tmp_path, "--train_for_env_steps=1280") is ExperimentStatus.SUCCESS
    return tmp_path


def test_a_run_leaves_everything_it_promises(trained):
    folder = trained / "exp"
    config = json.loads((folder / "config.json").read_text())
    assert config["values"]["rollout"] == 16
    assert config["origins"]["rollout"] == "cli"
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["env"]["name"] == "CartPole-v1"
    assert plan["seed"] == 3
    assert plan["versions"]["torch"]
    assert "host" in plan
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "success"
    assert result["env_steps"] == result["agent_steps"] == 1280
    assert result["episodes"] > 0
    assert result["reward_mean"] == result["episode_length_mean"]  # CartPole pays one per step
    assert (folder / "sf_log.txt").read_text().strip()


def test_the_last_line_of_the_metrics_agrees_with_the_result(trained):
    folder = trained / "exp"
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    result = json.loads((folder / "result.json").read_text())
    assert line["env_steps"] == result["env_steps"]
    assert line["reward_mean"] == result["reward_mean"]
    for key in ("seconds", "fps", "episode_length_mean", "policy_loss", "value_loss", "entropy", "time"):
        assert line[key] is not None, key
    assert set(line["time"]) == {"env", "inference", "learner", "other"}


def test_tensorboard_opens_it(trained):
    events = EventAccumulator(str(trained / "exp" / ".summary" / "0"))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"reward/reward", "len/len", "perf/_fps", "train/loss", "train/lr"} <= set(tags)
    assert events.Scalars("train/loss")[-1].step == 1280


def test_checkpoints_hold_tensors_and_json_only(trained):
    (checkpoint,) = (trained / "exp" / "checkpoint_p0").iterdir()
    assert sorted(file.name for file in checkpoint.iterdir()) == [
        "checkpoint.json",
        "model.safetensors",
        "optimizer.safetensors",
        "sampler.safetensors",
    ]
    assert all(np.isfinite(array).all() for array in load_file(checkpoint / "model.safetensors").values())


def test_a_trained_policy_acts_in_five_lines_without_the_env(trained):
    policy = Policy.load(trained / "exp")
    action, rnn_state = policy.act(np.zeros(4, np.float32))
    assert action in (0, 1)
    action, _ = policy.act(np.zeros(4, np.float32), rnn_state, deterministic=True)
    assert action in (0, 1)


def test_one_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path, trained):
    for name, flags in (("again", []), ("other", ["--seed=4"])):
        train(tmp_path / name, "--train_for_env_steps=1280", *flags)
    assert newest_weights(tmp_path / "again") == newest_weights(trained)
    assert newest_weights(tmp_path / "other") != newest_weights(trained)


def test_the_same_command_again_continues_the_run(tmp_path):
    train(tmp_path, f"--train_for_env_steps={2 * DATASET}")
    first = json.loads((tmp_path / "exp" / "result.json").read_text())
    train(tmp_path, f"--train_for_env_steps={5 * DATASET}")
    second = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert (first["env_steps"], second["env_steps"]) == (2 * DATASET, 5 * DATASET)
    assert second["policy_version"] == 10  # 5 datasets x 2 epochs x 1 minibatch, none done twice
    assert second["seconds"] > first["seconds"]


def test_a_finished_run_that_is_started_again_changes_nothing(trained):
    before = newest_weights(trained)
    assert train(trained, "--train_for_env_steps=1280") is ExperimentStatus.SUCCESS
    assert newest_weights(trained) == before


def test_restart_keeps_the_old_run_beside_the_new_one(tmp_path):
    train(tmp_path, f"--train_for_env_steps={DATASET}")
    train(tmp_path, f"--train_for_env_steps={DATASET}", "--restart_behavior=restart")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp", "exp_old0001"]
    assert json.loads((tmp_path / "exp" / "result.json").read_text())["env_steps"] == DATASET


def test_train_for_seconds_ends_the_run(tmp_path):
    begin = time.monotonic()
    assert train(tmp_path, "--train_for_seconds=1") is ExperimentStatus.SUCCESS
    assert time.monotonic() - begin < 10
    assert "train_for_seconds" in json.loads((tmp_path / "exp" / "result.json").read_text())["reason"]


class PressesCtrlC(TrainingObserver):
    def __init__(self):
        self.left = 3

    def on_train_step(self, run, policy_id, stats):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_interruption_saves_and_says_so(tmp_path):
    runner = make_runner(parse(tmp_path))
    runner.records.observers.add("ctrl_c", PressesCtrlC())  # not by the clock: it must not come before the run
    status = runner.run()
    assert status is ExperimentStatus.INTERRUPTED
    assert int(status) == 130
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert (result["status"], result["reason"]) == (
        "interrupted",
        "stopped by Ctrl+C; the same command continues the run",
    )
    assert result["env_steps"] == 3 * DATASET  # only whole iterations
    checkpoint = tmp_path / "exp" / "checkpoint_p0" / result["checkpoint"]
    assert json.loads((checkpoint / "checkpoint.json").read_text())["env_steps"] == result["env_steps"]


class Fragile(TrainingObserver):
    def __init__(self, cfg):
        pass

    def on_train_step(self, run, policy_id, stats):
        raise RuntimeError("the sky fell")


class Stopper(TrainingObserver):
    def __init__(self, cfg):
        self.reports = []
        self.found_at_the_end = []

    def on_train_step(self, run, policy_id, stats):
        run.request_checkpoint()
        run.request_stop("seen enough")

    def summaries(self, run, policy_id, env_steps):
        return {"mine/steps": env_steps}

    def on_report(self, run, policy_id, env_steps, scalars):
        self.reports.append((env_steps, scalars["mine/steps"], run.metrics == scalars))

    def on_stop(self, run, status):
        self.found_at_the_end = sorted(path.name for path in run.directory.glob("*.json*"))


def test_a_run_that_breaks_leaves_a_result_and_its_checkpoints(tmp_path):
    runner = make_runner(parse(tmp_path))
    runner.records.observers.add("fragile", Fragile(None), critical=True)
    assert runner.run() is ExperimentStatus.FAILURE
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert result["status"] == "failure"
    assert result["reason"] == "RuntimeError: the sky fell"


def test_an_observer_can_end_the_run(tmp_path):
    runner = make_runner(parse(tmp_path))
    stopper = Stopper(None)
    runner.records.observers.add("stopper", stopper)
    assert runner.run() is ExperimentStatus.SUCCESS
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert (result["reason"], result["env_steps"]) == ("seen enough", DATASET)
    assert stopper.reports[-1] == (DATASET, DATASET, True)
    # whatever an observer takes its time with at the end, the run's own files are safe
    assert stopper.found_at_the_end == ["config.json", "metrics.jsonl", "plan.json", "result.json"]
    assert json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])["mine/steps"] == DATASET


def test_nothing_is_written_when_the_env_does_not_exist(tmp_path):
    with pytest.raises(UsageError):
        make_runner(parse(tmp_path, "--env=gym:NoSuchEnv-v0"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_refused_before_training(tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"config\.json"):
        make_runner(parse(tmp_path))


@pytest.mark.parametrize(
    "flags",
    [
        ("--use_rnn=True", "--rnn_size=8"),
        ("--use_rnn=True", "--rnn_type=lstm", "--rnn_size=8", "--recurrence=8"),
        ("--actor_critic_share_weights=False",),
        ("--num_batches_per_epoch=2", "--shuffle_minibatches=True"),
        ("--with_vtrace=True", "--normalize_returns=False", "--recurrence=16"),
        ("--env=Pendulum-v1",),
        ("--env=Pendulum-v1", "--adaptive_stddev=False", "--lr_schedule=kl_adaptive_minibatch"),
        ("--num_workers=1", "--num_envs_per_worker=4"),
        ("--optimizer=lamb", "--lr_schedule=linear_decay"),
    ],
)
def test_every_kind_of_run_ends_with_finite_weights(tmp_path, flags):
    assert train(tmp_path, "--train_for_env_steps=512", *flags) is ExperimentStatus.SUCCESS
    checkpoint = sorted((tmp_path / "exp" / "checkpoint_p0").glob("checkpoint_*"))[-1]
    assert all(np.isfinite(array).all() for array in load_file(checkpoint / "model.safetensors").values())
    assert json.loads((tmp_path / "exp" / "result.json").read_text())["skipped_updates"] == 0


def test_an_env_whose_code_fails_at_once_is_one_sentence_and_leaves_nothing(tmp_path, capsys):
    assert train(tmp_path, "--env=py:json:dumps") is ExperimentStatus.FAILURE  # dumps takes other arguments
    said = capsys.readouterr().err
    assert "env 'py:json:dumps' (plugin core" in said
    assert "TypeError" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_continued_on_another_env(tmp_path):
    train(tmp_path, f"--train_for_env_steps={DATASET}")
    before = newest_weights(tmp_path)
    with pytest.raises(UsageError, match="was trained on CartPole-v1, not on Acrobot-v1"):
        make_runner(parse(tmp_path, "--env=Acrobot-v1"))
    assert newest_weights(tmp_path) == before
    train(tmp_path, "--env=gym:CartPole-v1", f"--train_for_env_steps={2 * DATASET}")  # the same env by another name


class Brittle(gymnasium.Env):
    """Works for a while, then raises."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    steps_left = 40

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps_left -= 1
        if not self.steps_left:
            raise OSError("the simulator is gone")
        return np.zeros(2, np.float32), 1.0, self.steps_left % 7 == 0, False, {}


def make_brittle(full_env_name, cfg, env_config, render_mode=None):
    return Brittle()


def test_an_env_that_fails_later_is_named_and_what_was_learned_before_is_kept(tmp_path, capsys):
    register_env("brittle", make_brittle)
    try:
        # the steps an env has left are counted below, so none of them is to be random
        flags = ("--env=brittle", "--decorrelate_envs_on_one_worker=False")
        assert train(tmp_path, *flags) is ExperimentStatus.FAILURE
    finally:
        forget_registrations()
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert result["status"] == "failure"
    assert "env 'brittle' (plugin script) failed: OSError: the simulator is gone (env 0, seed " in result["reason"]
    assert re.search(r"last action np.int64\([01]\)\)", result["reason"])
    # 8 envs x 16 steps are one dataset, and 40 steps of each env are two of them and a half
    assert result["env_steps"] > 0
    checkpoint = json.loads((tmp_path / "exp" / "checkpoint_p0" / result["checkpoint"] / "checkpoint.json").read_text())
    assert checkpoint["env_steps"] == result["env_steps"]
    assert "Traceback" in (tmp_path / "exp" / "sf_log.txt").read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_a_finished_run_started_again_keeps_its_result_and_a_longer_one_its_averages(tmp_path):
    train(tmp_path, "--train_for_env_steps=1280")
    files = [tmp_path / "exp" / name for name in ("result.json", "metrics.jsonl")]
    before = [file.read_text() for file in files]
    train(tmp_path, "--train_for_env_steps=1280")
    assert [file.read_text() for file in files] == before
    episodes = json.loads(before[0])["episodes"]
    train(tmp_path, f"--train_for_env_steps={1280 + DATASET}")
    after = json.loads(files[0].read_text())
    assert after["episodes"] >= episodes
    assert after["reward_mean"] > 0


def test_how_a_finished_run_ended_that_was_to_go_on_and_could_not(tmp_path):
    train(tmp_path, f"--train_for_env_steps={DATASET}")
    result, metrics = (tmp_path / "exp" / name for name in ("result.json", "metrics.jsonl"))
    lines = metrics.read_text()
    runner = make_runner(parse(tmp_path, f"--train_for_env_steps={2 * DATASET}"))
    runner.parts.worker.advance = None  # fails in the first rollout
    assert runner.run() is ExperimentStatus.FAILURE
    told = json.loads(result.read_text())
    assert (told["status"], told["env_steps"]) == ("failure", DATASET)
    assert "not callable" in told["reason"]
    assert metrics.read_text() == lines
    assert train(tmp_path, f"--train_for_env_steps={DATASET}") is ExperimentStatus.SUCCESS
    assert json.loads(result.read_text())["status"] == "success"
    assert metrics.read_text() == lines


def test_a_run_whose_last_state_cannot_be_saved_is_no_success(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sf_core.learner.checkpoint.write_checkpoint", full)
    assert train(tmp_path, f"--train_for_env_steps={DATASET}") is ExperimentStatus.FAILURE
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert (result["status"], result["checkpoint"]) == ("failure", None)
    assert "could not be saved" in result["reason"]


@pytest.mark.parametrize("iterations", [1, 2])
def test_neither_is_one_of_which_nothing_can_be_saved_for_another_reason(tmp_path, monkeypatch, iterations):
    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    runner = make_runner(parse(tmp_path, f"--train_for_env_steps={iterations * DATASET}"))
    monkeypatch.setattr("sf_core.learner.checkpoint.write_checkpoint", denied)
    if iterations == 2:
        runner.records.observers.add("saver", Saver())  # after the first one
    assert runner.run() is ExperimentStatus.FAILURE
    result = json.loads((tmp_path / "exp" / "result.json").read_text())
    assert (result["status"], result["env_steps"], result["checkpoint"]) == ("failure", DATASET, None)
    assert ("could not be saved" if iterations == 1 else "Permission denied") in result["reason"]


def test_a_full_disk_at_the_start_is_a_sentence_and_leaves_the_folder_to_others(tmp_path, monkeypatch):
    train(tmp_path, f"--train_for_env_steps={DATASET}")
    further = f"--train_for_env_steps={2 * DATASET}"
    with monkeypatch.context() as patch:

        def full(*args):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("sf_core.runner.reports.records.write_json", full)
        runner = make_runner(parse(tmp_path, further))
        with pytest.raises(UsageError, match=r"exp cannot be written to \(No space left on device\); free some space"):
            runner.run()
    assert train(tmp_path, further) is ExperimentStatus.SUCCESS  # nobody holds it any more


class Refuses(TrainingObserver):
    def on_start(self, run):
        raise RuntimeError("not today")


def test_a_critical_observer_that_fails_at_the_start_leaves_the_folder_to_others(tmp_path):
    runner = make_runner(parse(tmp_path, f"--train_for_env_steps={DATASET}"))
    runner.records.observers.add("refuses", Refuses(), critical=True)
    with pytest.raises(RuntimeError, match="not today") as refused:
        runner.run()
    assert train(tmp_path, f"--train_for_env_steps={DATASET}") is ExperimentStatus.SUCCESS
    assert refused  # with its traceback, everything it had is still there


class Saver(TrainingObserver):
    def on_train_step(self, run, policy_id, stats):
        run.request_checkpoint()


def test_training_goes_on_while_the_disk_is_full(tmp_path, monkeypatch, caplog):
    fsync, left = os.fsync, iter(range(2))

    def full_twice(descriptor):
        if next(left, None) is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    runner = make_runner(parse(tmp_path, f"--train_for_env_steps={4 * DATASET}", "--keep_checkpoints=9"))
    runner.records.observers.add("saver", Saver())
    monkeypatch.setattr("sf_core.learner.checkpoint_folder.os", SimpleNamespace(**{**vars(os), "fsync": full_twice}))
    assert runner.run() is ExperimentStatus.SUCCESS
    assert caplog.text.count("Disk full: checkpoint") == 2
    names = sorted(path.name for path in (tmp_path / "exp" / "checkpoint_p0").iterdir())
    assert [int(name.split("_")[2]) for name in names] == [3 * DATASET, 4 * DATASET]


def test_an_observer_that_cannot_be_built_is_named_before_anything_is_written(tmp_path, capsys):
    script = tmp_path / "kit.py"
    script.write_text(
        "from sf_core import ObserverSpec, hookimpl\n"
        "@hookimpl\n"
        "def sf_observers():\n"
        "    yield ObserverSpec(name='bad', factory='json:dumps', params={'nothing': 1})\n"
    )
    assert train(tmp_path / "runs", "-p", str(script), "--observers", "bad") is ExperimentStatus.FAILURE
    assert "observer 'bad' (plugin kit) cannot be built" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
