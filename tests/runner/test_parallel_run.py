"""Small runs of the parallel engine in every mode: what they collect, how old it is, that they learn and go on."""

import errno
import importlib.util
import itertools
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sf_core import ExperimentStatus, UsageError, register_env

_spec = importlib.util.spec_from_file_location("parallel_runs", Path(__file__).parent / "parallel_runs.py")
runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runs)
DATASET = runs.DATASET

COUNTING = "--env=py:sf_core.testing.fakes:make_counting_env"
WRITTEN_BY_WORKERS = ("observation/obs", "episode_start", "reward", "terminated", "truncated", "valid", "policy_id")


def by_env(rollouts):
    """env -> what workers wrote of it, rollout after rollout."""
    result = {}
    for rollout in rollouts:
        env = int(rollout["observation/obs"][0, 0])
        result.setdefault(env, []).append({path: rollout[path] for path in WRITTEN_BY_WORKERS})
    return result


def test_serial_and_synchronous_runs_collect_the_same_rollouts(tmp_path):
    flags = (COUNTING, f"--train_for_env_steps={4 * DATASET}")
    _, serial, _ = runs.collected(tmp_path / "serial", *flags, "--serial_mode=True")
    _, parallel, scalars = runs.collected(
        tmp_path / "parallel", *flags, "--async_rl=False", "--policy_workers_per_policy=2"
    )
    serial, parallel = by_env(serial), by_env(parallel)
    assert sorted(serial) == sorted(parallel) == list(range(8))
    for env, rollouts in serial.items():
        assert len(rollouts) == len(parallel[env]) == 4
        for one, other in zip(rollouts, parallel[env], strict=True):
            for path in WRITTEN_BY_WORKERS:
                np.testing.assert_array_equal(one[path], other[path], err_msg=f"env {env}: {path}")
    assert [numbers["train/version_diff_max"] for numbers in scalars] == [0.0] * 4  # lag at the first minibatch


def test_asynchronous_rollouts_are_whole_in_order_and_not_too_old(tmp_path):
    flags = (COUNTING, f"--train_for_env_steps={40 * DATASET}", "--num_epochs=2", "--num_batches_to_accumulate=1")
    runner, rollouts, scalars = runs.collected(tmp_path, *flags)
    observations = {}
    for rollout in rollouts:
        observation = rollout["observation/obs"]
        observations.setdefault(int(observation[0, 0]), []).append(observation)
        assert (np.diff(rollout["policy_version"]) >= 0).all()  # weights only ever get newer
    assert sorted(observations) == list(range(8))
    for of_env in observations.values():
        for before, after in itertools.pairwise(of_env):
            np.testing.assert_array_equal(before[-1], after[0])  # row T of one is row 0 of the next: none is missing
    # (num_batches_to_accumulate + 1) x num_epochs x num_batches_per_epoch = 2 x 2 x 1
    runs.assert_lag_within(4, scalars)
    assert runner.layout.num_slots == 8 + 8  # agents + one dataset of 8 rollouts


@pytest.mark.parametrize(
    "flags",
    [
        ("--worker_num_splits=1", "--env=Pendulum-v1"),
        ("--async_rl=False", "--use_rnn=True", "--rnn_size=8", "--num_envs_per_worker=2"),  # two rounds per dataset
        ("--env=counting_vector", "--policy_workers_per_policy=2", "--num_workers=1", "--num_envs_per_worker=8"),
        ("--num_workers=auto", "--num_envs_per_worker=auto", "--async_rl=False", "--worker_num_splits=1"),
    ],
    ids=["async one split", "sync rnn rounds", "vector two inference", "auto sync"],
)
def test_every_mode_ends_with_finite_weights_and_steps_that_add_up(tmp_path, flags):
    register_env(
        "counting_vector",
        "sf_core.testing.fakes:make_counting_env",
        vector_factory="sf_core.testing.fakes:make_counting_vector_env",
    )
    runner = runs.runner_of(tmp_path, f"--train_for_env_steps={3 * DATASET}", *flags)
    assert runner.run() is ExperimentStatus.SUCCESS
    result = runs.result_of(tmp_path)
    assert 3 * DATASET <= result["agent_steps"] <= 4 * DATASET  # rows that only reset do not count
    assert result["samples_trained"] + result["samples_stale"] == result["agent_steps"]
    assert (result["samples_reset_only"] > 0) == ("--env=counting_vector" in flags)
    assert result["skipped_updates"] == 0
    checkpoint = tmp_path / "exp" / "checkpoint_p0" / result["checkpoint"]
    assert all(np.isfinite(array).all() for array in load_file(checkpoint / "model.safetensors").values())
    line = json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"env", "env_waiting", "inference", "inference_waiting", "learner", "learner_waiting"} == set(line["time"])


def test_runs_go_on_in_the_other_engine(tmp_path):
    for number, serial in enumerate(("False", "True", "False"), start=1):
        flags = (f"--train_for_env_steps={2 * number * DATASET}", f"--serial_mode={serial}", "--async_rl=False")
        assert runs.runner_of(tmp_path, *flags).run() is ExperimentStatus.SUCCESS
        result = runs.result_of(tmp_path)
        assert (result["env_steps"], result["policy_version"]) == (2 * number * DATASET, 2 * number)


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path):
    for flags in (("--env=gym:NoSuchEnv-v0",), ("--encoder=resnet_impala",)):
        with pytest.raises(UsageError):
            runs.runner_of(tmp_path, *flags)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_ready_leaves_no_processes(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sf_core.runner.reports.records.write_json", full)
    runner = runs.runner_of(tmp_path)
    with pytest.raises(UsageError, match="No space left on device"):
        runner.run()
    assert multiprocessing.active_children() == []
