"""A serial run that was stopped and continued is, bit for bit, the run that was not stopped."""

import json
import math
import os
import signal

import gymnasium
import numpy as np
import pytest

from sf_core import ExperimentStatus, TrainingObserver, parse_full_cfg, parse_sf_args
from sf_core.envs.env_utils import register_env
from sf_core.plugins.script import forget_registrations
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
    "--torch_threads=1",
    "--device=cpu",
    "--experiment=exp",
)
DATASET = 64
OF_THE_CLOCK = (  # the lag is that since the last report
    *("seconds", "fps", "sample_throughput", "time", "bottleneck", "policy_lag"),
    "master_process_memory_mb",
)


class Watch(TrainingObserver):
    """Keeps the numbers of every iteration, and stops the run after some of them."""

    def __init__(self, stop_after):
        self.stop_after = stop_after
        self.rows = []

    def on_train_step(self, run, policy_id, stats):
        self.rows.append(dict(stats))
        if len(self.rows) == self.stop_after:
            run.request_stop("half way")


def train(tmp_path, *flags, iterations=8, stop_after=0, interrupt_at_step=0):
    """Returns the numbers of each iteration."""
    argv = [*SMALL, f"--train_for_env_steps={iterations * DATASET}", f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv)
    runner = make_runner(parse_full_cfg(parser, argv))
    watch = Watch(stop_after)
    runner.records.observers.add("watch", watch)
    if interrupt_at_step:
        advance, left = runner.parts.worker.advance, iter(range(interrupt_at_step, -1, -1))

        def advance_until(*args):
            if next(left, None) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            return advance(*args)

        runner.parts.worker.advance = advance_until
    assert runner.run() is (ExperimentStatus.INTERRUPTED if interrupt_at_step else ExperimentStatus.SUCCESS)
    return watch.rows


def result_of(tmp_path):
    return json.loads((tmp_path / "exp" / "result.json").read_text())


def files_of(tmp_path):
    """Every tensor of the last checkpoint: weights, normalisers, optimizer, episodes."""
    folder = tmp_path / "exp" / "checkpoint_p0" / result_of(tmp_path)["checkpoint"]
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors")}


def last_report(tmp_path):
    report = json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])
    return {name: value for name, value in report.items() if name not in OF_THE_CLOCK}


def assert_same_numbers(rows, others):
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert {name: value for name, value in row.items() if not math.isnan(value)} == {
            name: value for name, value in other.items() if not math.isnan(value)
        }


def assert_stopping_changes_nothing(tmp_path, *flags, interrupt_at_step=0):
    whole = train(tmp_path / "whole", *flags)
    stop = {"interrupt_at_step": interrupt_at_step} if interrupt_at_step else {"stop_after": 4}
    halves = train(tmp_path / "halves", *flags, **stop)
    assert len(halves) == 4
    halves += train(tmp_path / "halves", *flags)
    assert_same_numbers(whole, halves)
    assert set(files_of(tmp_path / "whole")) == {"model.safetensors", "optimizer.safetensors", "sampler.safetensors"}
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "halves")
    assert last_report(tmp_path / "whole") == last_report(tmp_path / "halves")
    assert result_of(tmp_path / "whole")["resumed_exactly"] is None
    assert result_of(tmp_path / "halves")["resumed_exactly"] is True


CLASSIC = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")


@pytest.mark.parametrize("env", CLASSIC)
def test_classic_control_goes_on_as_if_it_had_not_stopped(tmp_path, env):
    assert_stopping_changes_nothing(tmp_path, f"--env={env}", "--use_rnn=False")


@pytest.mark.parametrize("flags", [("--env=CartPole-v1",), ("--env=Pendulum-v1", "--rnn_type=lstm")])
def test_so_does_a_policy_with_a_memory(tmp_path, flags):
    assert_stopping_changes_nothing(tmp_path, *flags, "--use_rnn=True", "--rnn_size=4", "--lr_schedule=linear_decay")


def test_an_interruption_in_the_middle_of_a_rollout_goes_back_to_the_last_whole_iteration(tmp_path):
    # 16 steps an iteration: the interruption comes with the 10th step of the fifth one
    assert_stopping_changes_nothing(
        tmp_path, "--env=CartPole-v1", "--use_rnn=True", "--rnn_size=4", interrupt_at_step=4 * 16 + 10
    )


def make_wrapped(full_env_name, cfg, env_config, render_mode=None):
    env = gymnasium.wrappers.NormalizeObservation(gymnasium.make("CartPole-v1"))
    return gymnasium.wrappers.NormalizeReward(env)


def make_vector(full_env_name, cfg, env_configs, render_mode=None):
    return gymnasium.make_vec("CartPole-v1", num_envs=len(env_configs), vectorization_mode="vector_entry_point")


class HiddenState(gymnasium.Env):
    """Draws from a generator that nobody can see."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    hidden = np.random.default_rng(1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._look(), {}

    def step(self, action):
        self.steps += 1
        return self._look(), 1.0, self.steps == 20, False, {}

    def _look(self):
        return self.hidden.uniform(-1, 1, 2).astype(np.float32)


class Images(gymnasium.Env):
    """Images of noise, which a convolution looks at."""

    observation_space = gymnasium.spaces.Box(0, 255, (2, 36, 36), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action):
        return self._look(), float(self.np_random.normal()), self.np_random.random() < 0.1, False, {}

    def _look(self):
        return self.np_random.integers(0, 256, (2, 36, 36)).astype(np.uint8)


@pytest.fixture
def registered():
    register_env("images", lambda *args, **kwargs: Images())
    register_env("wrapped", make_wrapped)
    register_env("vector", make_wrapped, vector_factory=make_vector)
    register_env("hidden", lambda *args, **kwargs: HiddenState())
    yield
    forget_registrations()


@pytest.mark.usefixtures("registered")
def test_statistics_of_wrappers_are_part_of_it(tmp_path):
    assert_stopping_changes_nothing(tmp_path, "--env=wrapped", "--use_rnn=False")


@pytest.mark.usefixtures("registered")
def test_so_does_a_policy_that_looks_at_images(tmp_path):
    flags = ("--env=images", "--use_rnn=False", "--encoder_conv_mlp_layers=8")
    assert_stopping_changes_nothing(tmp_path, *flags)


@pytest.mark.usefixtures("registered")
def test_a_simulator_with_hidden_state_begins_new_episodes_and_the_result_says_so(tmp_path, caplog):
    flags = ("--env=hidden", "--use_rnn=False")
    train(tmp_path, *flags, stop_after=4)
    caplog.clear()
    train(tmp_path, *flags)
    said = [record.message for record in caplog.records if "New episodes begin" in record.message]
    assert said == ["New episodes begin: env 0 is not where it was after the same actions"]
    assert result_of(tmp_path)["resumed_exactly"] is False
    assert result_of(tmp_path)["env_steps"] == 8 * DATASET
    # once it is not the run that was not stopped, it never is again
    train(tmp_path, *flags, iterations=10)
    assert result_of(tmp_path)["resumed_exactly"] is False


@pytest.mark.usefixtures("registered")
def test_a_native_vector_environment_begins_new_episodes(tmp_path, caplog):
    flags = ("--env=vector", "--use_rnn=False")
    train(tmp_path, *flags, iterations=2)
    assert set(files_of(tmp_path)) == {"model.safetensors", "optimizer.safetensors"}
    train(tmp_path, *flags, iterations=4)
    assert "New episodes begin: only single environments can be played again" in caplog.text
    assert result_of(tmp_path)["resumed_exactly"] is False


def test_other_numbers_of_envs_and_another_seed_begin_new_episodes(tmp_path, caplog):
    flags = ("--env=CartPole-v1", "--use_rnn=False")
    train(tmp_path, *flags, iterations=2)
    train(tmp_path, *flags, "--num_envs_per_worker=2", iterations=4)
    assert "New episodes begin: there were 4 envs and are 2" in caplog.text
    train(tmp_path, *flags, "--num_envs_per_worker=2", "--seed=4", iterations=6)
    assert "New episodes begin: the seed is another one" in caplog.text
    assert result_of(tmp_path)["env_steps"] == 6 * DATASET


def test_a_seed_that_was_drawn_stays_that_of_the_run(tmp_path):
    train(tmp_path, "--env=CartPole-v1", "--use_rnn=False", "--seed=none", iterations=2)
    seed = result_of(tmp_path)["seed"]
    train(tmp_path, "--env=CartPole-v1", "--use_rnn=False", "--seed=none", iterations=4)
    assert result_of(tmp_path)["seed"] == seed
    assert result_of(tmp_path)["resumed_exactly"] is True


def test_episodes_that_are_too_long_are_not_kept(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("sf_core.envs.adapters.episode_history.MOST_STEPS", 4 * 20)
    flags = ("--env=Pendulum-v1", "--use_rnn=False", "--decorrelate_envs_on_one_worker=False")
    train(tmp_path, *flags, iterations=2)  # 4 envs x 32 steps
    assert set(files_of(tmp_path)) == {"model.safetensors", "optimizer.safetensors"}
    train(tmp_path, *flags, iterations=4)
    assert "New episodes begin: the checkpoint does not say where they were" in caplog.text
    assert result_of(tmp_path)["resumed_exactly"] is False


def test_an_interruption_between_two_rollouts_of_a_dataset_counts_no_episode_twice(tmp_path):
    # an iteration is two rounds of 16 steps: the interruption comes in the second round of the third one
    flags = ("--env=CartPole-v1", "--use_rnn=False", "--batch_size=128", "--train_for_env_steps=768")
    whole = train(tmp_path / "whole", *flags)
    halves = train(tmp_path / "halves", *flags, interrupt_at_step=2 * 32 + 26)
    halves += train(tmp_path / "halves", *flags)
    assert_same_numbers(whole, halves)
    assert last_report(tmp_path / "whole") == last_report(tmp_path / "halves")


def test_where_the_envs_stood_is_not_kept_beside_newer_weights(tmp_path):
    # serial mode that the engine chose takes numbers that leave a part of a dataset over: 3 envs, 4 rollouts
    argv = ["--env=CartPole-v1", *SMALL, "--num_envs_per_worker=3", f"--train_dir={tmp_path}", "--use_rnn=False"]
    argv += ["--serial_mode=False", "--worker_num_splits=1", f"--train_for_env_steps={DATASET}"]
    parser, _ = parse_sf_args(argv)
    cfg = parse_full_cfg(parser, argv).replace("engine", serial_mode=True)
    assert make_runner(cfg).run() is ExperimentStatus.SUCCESS
    assert set(files_of(tmp_path)) == {"model.safetensors", "optimizer.safetensors"}
