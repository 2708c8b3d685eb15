"""Runs on tensor envs: the same bits as on arrays, a good score in seconds, evaluation."""

import functools
import json

import pytest

from sf_core import ExperimentStatus, UsageError, parse_full_cfg, parse_sf_args, run_rl
from sf_core.envs.env_utils import register_env
from sf_core.eval import evaluate_run
from sf_core.plugins.script import forget_registrations
from sf_core.testing.tensor_envs import make_counting_tensor_env
from sf_core.train import make_runner

FAKES, TENSORS = "sf_core.testing.fakes", "sf_core.testing.tensor_envs"


@pytest.fixture(autouse=True)
def _envs():
    arrays, tensors = f"{FAKES}:make_counting_vector_env", f"{TENSORS}:make_counting_tensor_env"
    register_env("arrays", f"{FAKES}:make_counting_env", vector_factory=arrays)
    register_env("tensors", f"{FAKES}:make_counting_env", vector_factory=tensors)
    register_env(
        "tensor_cartpole",
        f"{TENSORS}:make_one_tensor_cartpole",
        vector_factory=f"{TENSORS}:make_tensor_cartpole",
        defaults={"serial_mode": True},
    )
    yield
    forget_registrations()


def parse(tmp_path, *flags):
    argv = [f"--train_dir={tmp_path}", "--experiment=exp", "--seed=3", "--torch_threads=1", "--device=cpu", *flags]
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def newest_weights(tmp_path):
    checkpoint = sorted((tmp_path / "exp" / "checkpoint_p0").glob("checkpoint_*"))[-1]
    return (checkpoint / "model.safetensors").read_bytes()


@pytest.mark.parametrize("memory", [("--use_rnn=False",), ("--use_rnn=True", "--rnn_size=8", "--recurrence=8")])
def test_tensors_and_arrays_train_the_same_bits(tmp_path, memory):
    flags = ("--rollout=16", "--batch_size=128", "--num_epochs=2", "--encoder_mlp_layers", "16", *memory)
    for env in ("arrays", "tensors"):
        cfg = parse(tmp_path / env, f"--env={env}", "--serial_mode=True", "--train_for_env_steps=1000", *flags)
        assert run_rl(cfg) is ExperimentStatus.SUCCESS
    assert newest_weights(tmp_path / "arrays") == newest_weights(tmp_path / "tensors")
    results = [json.loads((tmp_path / env / "exp" / "result.json").read_text()) for env in ("arrays", "tensors")]
    for key in ("env_steps", "episodes", "reward_mean", "episode_length_mean"):
        assert results[0][key] == results[1][key]


def test_another_device_than_the_policys_is_refused(tmp_path):
    elsewhere = functools.partial(make_counting_tensor_env, device="meta")
    register_env("elsewhere", f"{FAKES}:make_counting_env", vector_factory=elsewhere)
    with pytest.raises(UsageError, match="has its tensors on meta and the policy is on cpu"):
        make_runner(parse(tmp_path, "--env=elsewhere", "--serial_mode=True"))


def test_cartpole_in_tensors_is_learned_in_seconds_and_evaluated_like_any_other(tmp_path):
    flags = ("--rollout=32", "--batch_size=2048", "--num_batches_per_epoch=2", "--num_epochs=4", "--use_rnn=False")
    size = ("--num_workers=1", "--num_envs_per_worker=128", "--encoder_mlp_layers", "32", "32")
    cfg = parse(
        tmp_path, "--env=tensor_cartpole", *flags, *size, "--learning_rate=0.003", "--train_for_env_steps=120000"
    )
    assert run_rl(cfg) is ExperimentStatus.SUCCESS
    assert json.loads((tmp_path / "exp" / "result.json").read_text())["reward_mean"] > 100
    argv = [f"--train_dir={tmp_path}", "--experiment=exp", "--env=tensor_cartpole", "--episodes=8", "--device=cpu"]
    parser, _ = parse_sf_args(argv, evaluation=True)
    result = evaluate_run(parse_full_cfg(parser, argv))
    assert result["episodes"] == 8
    assert result["reward_mean"] > 100
