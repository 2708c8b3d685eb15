"""`sf-eval` on a run folder: which checkpoint, which seed, what it prints and writes, what it refuses."""

import csv
import json

import pytest

from sf_core import ExperimentStatus, parse_full_cfg, parse_sf_args, run_rl
from sf_core.cli.eval import main
from sf_core.envs.seeding import env_seeds
from sf_core.eval.session import evaluation_seed, open_session
from sf_core.plugins.plan import EnvError
from sf_core.testing.fakes import Script

COUNTING = "--env=py:sf_core.testing.fakes:make_counting_env"
SCRIPT = Script()


@pytest.fixture(scope="module")
def train_dir(tmp_path_factory):
    """A run of two training iterations that kept a checkpoint of each."""
    train_dir = tmp_path_factory.mktemp("train_dir")
    for steps in (64, 128):
        argv = [
            COUNTING, "--serial_mode=True", "--seed=1", "--rollout=8", "--batch_size=64", "--use_rnn=False",
            "--encoder_mlp_layers=8", "--torch_threads=1", "--device=cpu", f"--train_dir={train_dir}",
            "--experiment=exp", f"--train_for_env_steps={steps}", "--num_workers=8", "--num_epochs=1",
        ]  # fmt: skip
        parser, _ = parse_sf_args(argv)
        assert run_rl(parse_full_cfg(parser, argv)) is ExperimentStatus.SUCCESS
    return train_dir


@pytest.fixture
def sf_eval(train_dir, capsys):
    def run(*flags):
        """Exit code, stdout and stderr."""
        flags = ("--serial_mode=True", "--num_envs_per_worker=3", *flags)
        code = main([f"--train_dir={train_dir}", "--experiment=exp", COUNTING, "--device=cpu", *flags])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def names(train_dir):
    return sorted(path.name for path in (train_dir / "exp" / "checkpoint_p0").glob("checkpoint_*"))


def test_the_newest_checkpoint_is_evaluated_or_a_named_one(sf_eval, train_dir):
    first, newest = names(train_dir)
    assert json.loads(sf_eval("--json", "--episodes=3")[1])["checkpoint"] == newest
    result = json.loads(sf_eval("--json", "--episodes=3", f"--checkpoint={first}")[1])
    assert (result["checkpoint"], result["env_steps"]) == (first, 64)
    path = train_dir / "exp" / "checkpoint_p0" / first
    assert json.loads(sf_eval("--json", "--episodes=3", f"--checkpoint={path}")[1])["checkpoint"] == first


def test_every_episode_is_written_with_its_seed_and_statistics(sf_eval, tmp_path, train_dir):
    table, file = tmp_path / "episodes.csv", tmp_path / "result.json"
    code, out, _ = sf_eval("--episodes=5", "--seed=9", f"--output={table},{file}", "--csv_folder_name=tables")
    assert code == 0
    assert f"Wrote {table}" in out
    with table.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    played = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]  # 5 episodes in 3 envs
    assert [(int(row["env"]), int(row["episode"])) for row in rows] == played
    assert [float(row["return"]) for row in rows] == [SCRIPT.episode_return(*one) for one in played]
    assert [float(row["length"]) for row in rows] == [SCRIPT.length(*one) for one in played]
    assert [float(row["true_objective"]) for row in rows] == [100.0 * number for _, number in played]
    seeds = env_seeds(evaluation_seed(9), 3)
    assert [int(row["seed"]) for row in rows] == [seeds[env] for env, _ in played]
    result = json.loads(file.read_text())
    assert [row["return"] for row in result["all_episodes"]] == [float(row["return"]) for row in rows]
    assert result["extra_stats"]["true_objective"] == 40.0
    assert (train_dir / "exp" / "tables" / "eval_p0.csv").read_text() == table.read_text()


def test_what_cannot_be_written_after_all_costs_no_result(sf_eval, tmp_path, monkeypatch, train_dir):
    file = tmp_path / "result.json"
    assert sf_eval("--episodes=2", f"--output={file},{file}")[0] == 0  # named twice, written once
    (train_dir / "exp" / "in_the_way").touch()
    code, out, error = sf_eval("--episodes=2", "--csv_folder_name=in_the_way", "--json")
    assert (code, json.loads(out)["episodes"]) == (2, 2)
    assert "eval_p0.csv cannot be written" in error
    monkeypatch.setattr("sf_core.eval.output.os.access", lambda path, mode: False)
    code, out, error = sf_eval("--episodes=2", f"--output={tmp_path / 'other.csv'}")
    assert (code, out) == (2, "")
    assert "cannot be written to; name another folder" in error


def test_what_is_no_number_is_null_in_json(sf_eval, tmp_path, monkeypatch):
    monkeypatch.setattr("sf_core.eval.measure.Evaluation.extra_stats", {"share": float("nan")})
    result = tmp_path / "null.json"
    out = sf_eval("--episodes=2", "--json", f"--output={result}")[1]
    assert '"extra_stats": {"share": null}' in out
    assert "NaN" not in result.read_text()


def test_nothing_is_overwritten_and_nothing_played_for_it(sf_eval, tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("precious")
    code, _, error = sf_eval("--episodes=3", f"--output={there}")
    assert (code, there.read_text()) == (2, "precious")
    assert "exists already and is not overwritten" in error


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--checkpoint=checkpoint_7"], "no checkpoint checkpoint_7 in"),
        (["--output=result.txt"], "ends neither in .csv nor in .json"),
        (["--max_num_frames=100"], "sf-eval plays whole episodes"),
        (["--eval_env_frameskip=1"], "--eval_env_frameskip is for looking at a policy with sf-enjoy"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(sf_eval, flags, sentence):
    code, out, error = sf_eval(*flags)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_whose_code_failed_is_one_sentence_and_exit_code_1(sf_eval, monkeypatch):
    def failing(cfg):
        raise EnvError("env 'maze' failed: RuntimeError: it collapsed")

    monkeypatch.setattr("sf_core.cli.eval.do_eval", failing)
    code, out, error = sf_eval()
    assert (code, out) == (1, "")
    assert error == "error: env 'maze' failed: RuntimeError: it collapsed (-v shows the traceback)\n"


def test_the_table_says_how_sure_the_mean_is(sf_eval):
    _, out, _ = sf_eval("--episodes=6", "--eval_deterministic")
    assert "greedy actions" in out
    assert "±" in out
    assert "mean true_objective" in out


def test_seeds_are_never_those_of_training_even_from_the_same_number(train_dir):
    argv = [f"--train_dir={train_dir}", "--experiment=exp", COUNTING, "--seed=1", "--device=cpu"]
    parser, _ = parse_sf_args(argv, evaluation=True)
    session = open_session(parse_full_cfg(parser, argv))
    assert session.seed >= 2**31  # training draws smaller ones
    assert not set(env_seeds(1, 64)) & set(env_seeds(session.seed, 64))
    assert evaluation_seed(1) != evaluation_seed(1, 1)  # sf-eval, and what a run measures of itself
