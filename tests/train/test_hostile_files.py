"""Files received from elsewhere are data: whatever is in them, reading them executes nothing."""

import json
import os
import pickle
import shutil

import pytest

from sf_core import ExperimentStatus, Policy, UsageError, parse_full_cfg, parse_sf_args, run_rl
from sf_core.learner.nonfinite import load_bad_batch
from sf_core.train import make_runner

SMALL = (
    "--env=CartPole-v1",
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
    "--train_for_env_steps=64",
)
FILES = ("checkpoint.json", "model.safetensors", "optimizer.safetensors", "sampler.safetensors")


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("train_dir")
    assert run_rl(parse(tmp_path)) is ExperimentStatus.SUCCESS
    return tmp_path


@pytest.fixture
def run(trained, tmp_path):
    """The folder of a run, and what a bomb would leave behind."""
    shutil.copytree(trained / "exp", tmp_path / "exp")
    yield tmp_path / "exp"
    assert not (tmp_path / "executed").exists()


def parse(tmp_path, *flags):
    argv = [*SMALL, f"--train_dir={tmp_path}", "--experiment=exp", *flags]
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def put_bomb(file):
    mark = next(folder for folder in file.parents if (folder / "exp").exists()) / "executed"
    for protocol in (0, 5):  # the first is text
        bomb = pickle.dumps(Bomb(mark), protocol=protocol)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bomb)
        yield


def test_the_bomb_would_work(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("file", FILES)
def test_checkpoints(run, file):
    (checkpoint,) = (run / "checkpoint_p0").iterdir()
    for _ in put_bomb(checkpoint / file):
        with pytest.raises(UsageError, match="can be read"):
            make_runner(parse(run.parent))
        if file in ("checkpoint.json", "model.safetensors"):  # of the others a policy needs nothing
            with pytest.raises(UsageError, match="damaged"):
                Policy.load(checkpoint)
            with pytest.raises(UsageError, match="can be read"):
                make_runner(parse(run.parent, "--experiment=other", "--init_from=exp"))


@pytest.mark.parametrize("evaluation", [False, True])
def test_the_configuration(run, evaluation):
    for _ in put_bomb(run / "config.json"):
        parser, _ = parse_sf_args([*SMALL, f"--train_dir={run.parent}", "--experiment=exp"], evaluation=evaluation)
        with pytest.raises(SystemExit) as left:
            parse_full_cfg(parser, parser.argv)
        assert left.value.code == 2


def test_the_configuration_file_of_the_command_line(run):
    for _ in put_bomb(run / "run.toml"):
        with pytest.raises(SystemExit) as left:
            parse(run.parent, f"--config={run / 'run.toml'}")
        assert left.value.code == 2


@pytest.mark.parametrize("file", ["plan.json", "result.json", "metrics.jsonl"])
def test_what_is_written_for_people_is_not_needed(run, file):
    for steps, _ in enumerate(put_bomb(run / file), 2):
        assert run_rl(parse(run.parent, f"--train_for_env_steps={64 * steps}")) is ExperimentStatus.SUCCESS
    last = (run / file).read_text().splitlines()
    assert json.loads(last[-1] if file == "metrics.jsonl" else "\n".join(last))


def test_batches_that_were_kept(run):
    for _ in put_bomb(run / "bad_batches_p0" / "batch_000000001.safetensors"):
        with pytest.raises(UsageError, match="no batch that was kept"):
            load_bad_batch(run / "bad_batches_p0" / "batch_000000001.safetensors")


@pytest.mark.parametrize(
    "config",
    [
        '{"schema": 1}',
        '{"schema": 1, "values": 3, "origins": {}}',
        '{"schema": 1, "values": {}, "origins": {}, "requested": {"a": 1}}',
        "[" * 99999,
    ],
)
def test_a_configuration_that_says_nonsense_is_a_sentence(run, config):
    (run / "config.json").write_text(config)
    with pytest.raises(SystemExit) as left:
        parse(run.parent)
    assert left.value.code == 2
