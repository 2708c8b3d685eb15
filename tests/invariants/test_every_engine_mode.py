"""What must hold of every rollout and every training iteration, whichever way the engine is wired.

Each mode runs on a counting env, whose every number is known: the rollouts that the learner took are compared with a
literal loop over its script.
"""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from sf_core import register_env
from sf_core.plugins.script import forget_registrations
from sf_core.testing.fakes import Script

_spec = importlib.util.spec_from_file_location(
    "parallel_runs", Path(__file__).parents[1] / "runner" / "parallel_runs.py"
)
runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runs)

SERIAL, SYNC, ASYNC = (
    ("--serial_mode=True",),
    ("--async_rl=False",),
    ("--async_rl=True", "--num_batches_to_accumulate=1"),
)
SINGLE, VECTOR = ("--env=counting",), ("--env=counting_vector",)
ONE, TWO = ("--worker_num_splits=1",), ("--worker_num_splits=2",)
TWO_INFERENCE = ("--policy_workers_per_policy=2",)
# num_batches_to_accumulate + 1 datasets of one optimizer step each may be on their way while a rollout is collected
LONGEST_LAG = {SERIAL: 0, SYNC: 0, ASYNC: 2}

MODES = {
    "serial single": (SERIAL, SINGLE),
    "serial vector": (SERIAL, VECTOR),
    "sync single 2 splits 2 inference": (SYNC, SINGLE, TWO, TWO_INFERENCE),
    "async vector 2 splits": (ASYNC, VECTOR, TWO),
}
SLOW_MODES = {
    "sync single 1 split": (SYNC, SINGLE, ONE),
    "sync vector 1 split": (SYNC, VECTOR, ONE),
    "sync vector 2 splits": (SYNC, VECTOR, TWO),
    "async single 1 split": (ASYNC, SINGLE, ONE),
    "async single 2 splits": (ASYNC, SINGLE, TWO),
    "async single 2 splits 2 inference": (ASYNC, SINGLE, TWO, TWO_INFERENCE),
    "async vector 1 split": (ASYNC, VECTOR, ONE),
    "async vector 1 split 2 inference": (ASYNC, VECTOR, ONE, TWO_INFERENCE),
}


@pytest.fixture
def _counting_envs():
    register_env("counting", "sf_core.testing.fakes:make_counting_env")
    register_env(
        "counting_vector",
        "sf_core.testing.fakes:make_counting_env",
        vector_factory="sf_core.testing.fakes:make_counting_vector_env",
    )
    yield
    forget_registrations()


@pytest.mark.usefixtures("_counting_envs")
@pytest.mark.parametrize(
    "mode",
    [*MODES.values(), *(pytest.param(mode, marks=pytest.mark.slow) for mode in SLOW_MODES.values())],
    ids=[*MODES, *SLOW_MODES],
)
def test_rollouts_are_those_of_the_script_and_no_older_than_promised(mode, tmp_path):
    flags = [flag for part in mode for flag in part] + ["--decorrelate_envs_on_one_worker=False"]
    # `collected` also proves that nobody writes to a slot while the learner has it
    _, rollouts, scalars = runs.collected(tmp_path, f"--train_for_env_steps={8 * runs.DATASET}", *flags)
    assert len(scalars) >= 8

    by_env = {}
    for rollout in rollouts:
        by_env.setdefault(int(rollout["observation/obs"][0, 0]), []).append(rollout)
        check_policy_columns(rollout)
    everybody = set(range(8))
    assert set(by_env) == everybody or (ASYNC in mode and set(by_env) < everybody)  # a worker may be late for so few
    for env_id, of_env in by_env.items():
        check_against_script(env_id, of_env, resets_in_a_row_of_its_own=VECTOR in mode)

    runs.assert_lag_within(LONGEST_LAG[mode[0]], scalars)
    fresh = [numbers for numbers in scalars if numbers["train/version_diff_max"] == 0]
    assert fresh
    assert len(fresh) == len(scalars) or ASYNC in mode
    for numbers in fresh:  # one optimizer step an iteration: what is reported is the ratio before it
        assert numbers["train/ratio_min"] == pytest.approx(1, abs=1e-5)
        assert numbers["train/ratio_max"] == pytest.approx(1, abs=1e-5)


def check_policy_columns(rollout):
    """What inference wrote: one policy's versions that only grow, and the log-probability of the action stored."""
    assert (np.diff(rollout["policy_version"]) >= 0).all()
    assert (rollout["policy_id"] == 0).all()
    logits = rollout["action_logits"].astype(np.float64)  # [T, 3]
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_probs, rollout["action/action"].reshape(-1, 1), axis=-1)[:, 0]
    np.testing.assert_allclose(rollout["behaviour_log_prob"], chosen, atol=1e-5)


def check_against_script(env_id, rollouts, *, resets_in_a_row_of_its_own):
    """All rollouts of one env, in order: no step is missing, none is there twice, each is what the script says."""
    script = Script()
    observation = np.concatenate([rollout["observation/obs"][:-1] for rollout in rollouts])  # [rows, 3]
    for before, after in itertools.pairwise(rollouts):
        np.testing.assert_array_equal(before["observation/obs"][-1], after["observation/obs"][0])
    column = {
        name: np.concatenate([rollout[name][: runs.ROLLOUT] for rollout in rollouts])
        for name in ("reward", "terminated", "truncated", "valid", "episode_start")
    }
    episode, step, row = 0, 0, 0
    while row < len(observation):
        length, end = script.length(env_id, episode), script.end(env_id, episode)
        assert observation[row].tolist() == [env_id, episode, step]
        assert column["episode_start"][row] == (step == 0)
        if step == length:  # the row in which a vector env only resets
            assert resets_in_a_row_of_its_own
            assert not column["valid"][row]
            episode, step, row = episode + 1, 0, row + 1
            continue
        step += 1
        is_end = step == length
        assert column["valid"][row]
        assert column["reward"][row] == pytest.approx(script.reward(env_id, episode, step))
        assert column["terminated"][row] == (is_end and end == "terminated")
        assert column["truncated"][row] == (is_end and end == "truncated")
        if is_end and not resets_in_a_row_of_its_own:
            episode, step = episode + 1, 0
        row += 1
