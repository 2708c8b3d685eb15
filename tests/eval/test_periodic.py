"""A run evaluates itself while it trains: results everywhere, the right best checkpoint, nothing held up or left."""

import json
import logging
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sf_core import ExperimentStatus, UsageError, parse_full_cfg, parse_sf_args
from sf_core.cfg.arguments import default_cfg
from sf_core.envs.env_utils import register_env
from sf_core.eval import evaluate_run
from sf_core.eval.periodic import PeriodicEvaluation
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.plugins.script import forget_registrations
from sf_core.testing.fakes import Script
from sf_core.train import make_runner

COUNTING = "--env=py:sf_core.testing.fakes:make_counting_env"
SMALL = (
    "--seed=3", "--rollout=8", "--batch_size=64", "--num_epochs=1", "--encoder_mlp_layers=8", "--num_workers=2",
    "--num_envs_per_worker=4", "--torch_threads=1", "--device=cpu", "--experiment=exp",
    "--eval_every_env_steps=256", "--eval_episodes=4", "--save_best_metric=eval_reward", "--save_best_after=0",
)  # fmt: skip
REWARD = sum(Script().episode_return(env, 0) for env in range(4)) / 4  # whatever the policy does


def cfg_of(tmp_path, *flags, evaluation=False):
    argv = [f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv, evaluation)
    return parse_full_cfg(parser, argv)


def result_of(tmp_path):
    return json.loads((tmp_path / "exp" / "result.json").read_text())


@pytest.mark.parametrize("engine", ["--serial_mode=True", "--async_rl=False"])
def test_results_are_written_and_the_evaluated_checkpoint_becomes_the_best(engine, tmp_path):
    cfg = cfg_of(tmp_path, COUNTING, *SMALL, engine, "--train_for_env_steps=512", "--keep_checkpoints=1")
    assert make_runner(cfg).run() is ExperimentStatus.SUCCESS
    run, last = tmp_path / "exp", result_of(tmp_path)["eval"]
    assert (last["env_steps"], last["reward_mean"], last["episodes"]) == (512, REWARD, 4)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluations = [line["eval"] for line in lines if "eval" in line]
    assert [one["env_steps"] for one in evaluations] == [256, 512]
    assert all("reward_mean" in line for line in lines)  # each is a whole report besides
    events = EventAccumulator(str(run / ".summary" / "0"))
    events.Reload()
    assert [event.step for event in events.Scalars("eval/reward")] == [256, 512]
    # both were equally good, so the first one stays; it is long gone from among the newest checkpoints
    (best,) = (run / "checkpoint_p0").glob("best_*")
    first = evaluations[0]
    assert best.name == f"best_{first['policy_version']:09d}_256_eval_reward_{REWARD:.3f}"
    assert [one["is_best"] for one in evaluations] == [True, False]
    facts = json.loads((best / "checkpoint.json").read_text())
    assert (facts["env_steps"], facts["evaluation"]["reward_mean"]) == (256, REWARD)
    assert not (run / ".evaluating").exists()
    measured = evaluate_run(
        cfg_of(tmp_path, "--experiment=exp", COUNTING, "--load_checkpoint_kind=best", "--episodes=4", evaluation=True)
    )
    assert (measured["checkpoint"], measured["reward_mean"]) == (best.name, REWARD)


FAILING = """
from pathlib import Path
from sf_core.testing.fakes import CountingEnv

class Failing(CountingEnv):
    def step(self, action):
        if "sf-eval" in Path("/proc/self/cmdline").read_text():
            raise RuntimeError("the maze collapsed")
        return super().step(action)

def make(full_env_name, cfg, env_config):
    return Failing()
"""


def test_an_evaluation_that_fails_is_logged_and_training_goes_on(tmp_path, monkeypatch):
    (tmp_path / "failing_env.py").write_text(FAILING)
    monkeypatch.syspath_prepend(str(tmp_path))
    flags = ("--env=py:failing_env:make", *SMALL, "--serial_mode=True", "--train_for_env_steps=256")
    assert make_runner(cfg_of(tmp_path, *flags)).run() is ExperimentStatus.SUCCESS
    assert "eval" not in result_of(tmp_path)
    text = (tmp_path / "exp" / "sf_log.txt").read_text()
    assert "of checkpoint_000000004_256 failed, training goes on: EnvError: env 'py:failing_env:make' failed" in text
    assert result_of(tmp_path)["env_steps"] == 256


@pytest.fixture
def begun(tmp_path):
    """Evaluations of a run at 0 env steps, and one of its checkpoints, which nobody can read."""
    cfg = default_cfg(env=COUNTING.partition("=")[2], seed=1, eval_every_env_steps=100, save_best_metric="eval_reward")
    evaluations = PeriodicEvaluation(build_plan(cfg, get_manager()))
    checkpoints = tmp_path / "checkpoint_p0"
    path = checkpoints / "checkpoint_000000007_140"
    path.mkdir(parents=True)
    (path / "checkpoint.json").write_text("{}")
    evaluations.begin(cfg, tmp_path, checkpoints, 0)
    yield evaluations, path
    evaluations.abandon()


def test_one_is_due_every_so_many_steps_and_never_two_at_a_time(begun, caplog):
    caplog.set_level(logging.INFO, "sf_core")
    evaluations, path = begun
    assert [evaluations.wants_checkpoint(steps) for steps in (0, 99, 100, 101)] == [False, False, True, False]
    milestone = path.parent / "milestones" / path.name
    evaluations.checkpoint_saved(milestone)  # not the one that was asked for
    assert evaluations._child is None
    evaluations.checkpoint_saved(path)
    child = evaluations._child
    assert (child.copy / "checkpoint.json").samefile(path / "checkpoint.json")  # a link
    assert not evaluations.wants_checkpoint(300)
    evaluations.abandon()
    assert not child.process.is_alive()
    assert not child.copy.exists()
    assert "checkpoint_000000007_140 was abandoned" in caplog.text
    assert [evaluations.wants_checkpoint(steps) for steps in (199, 200)] == [False, True]


def test_what_is_left_of_a_silent_evaluation_is_ended(begun, caplog):
    evaluations, path = begun
    evaluations.wants_checkpoint(100)
    evaluations.checkpoint_saved(path)
    child = evaluations._child
    child.heard_s = time.monotonic() - 1000
    evaluations._next_look_s = 0.0
    assert evaluations.finished() is None
    assert not child.process.is_alive()
    assert "failed, training goes on: it was silent for" in caplog.text


def test_eval_reward_needs_evaluations():
    with pytest.raises(UsageError, match="--save_best_metric=eval_reward needs evaluations; add --eval_every"):
        default_cfg(save_best_metric="eval_reward")


def test_what_cannot_be_sent_to_another_process_is_refused(tmp_path):
    register_env("here_only", lambda full_env_name, cfg, env_config: None)
    try:
        with pytest.raises(UsageError, match="or leave out --eval_every_env_steps"):
            make_runner(cfg_of(tmp_path, "--env=here_only", *SMALL, "--serial_mode=True"))
    finally:
        forget_registrations()
    assert list(tmp_path.iterdir()) == []
