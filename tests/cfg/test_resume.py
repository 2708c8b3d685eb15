import errno

import pytest

from sf_core import register_env
from sf_core.cfg.arguments import checkpoint_override_defaults, default_cfg, full_cfg, parse_sf_args
from sf_core.cfg.config import Config
from sf_core.cfg.resume import numbers_of_envs, saved_values
from sf_core.cfg.saved import write_config
from sf_core.utils.errors import UsageError

RUN = ("--experiment=run", "--train_dir=runs")


def make_maze(full_env_name, cfg, env_config, render_mode=None):
    raise NotImplementedError


@pytest.fixture
def train(cfg_of):
    """Parses a training command and leaves behind what a run would."""

    def run(*argv):
        cfg = cfg_of(*RUN, *argv)
        write_config("runs/run", cfg)
        return cfg

    return run


def test_a_run_that_is_continued_keeps_its_values_below_the_command_line(train, cfg_of):
    train("--env=CartPole-v1", "--gamma=0.5", "--rollout=16")
    cfg = cfg_of(*RUN, "--rollout=64")
    assert (cfg.env, cfg.gamma, cfg.rollout) == ("CartPole-v1", 0.5, 64)
    assert [cfg.origin(name) for name in ("env", "gamma", "rollout")] == ["saved", "saved", "cli"]


def test_values_that_were_plain_defaults_are_kept_too(train, cfg_of):
    register_env("maze", make_maze, defaults={"gamma": 0.5})
    train("--env=maze")
    register_env("maze", make_maze, defaults={"gamma": 0.9, "learning_rate": 0.1})  # a newer version of the plugin
    cfg = cfg_of(*RUN, "--env=maze")
    assert (cfg.gamma, cfg.learning_rate) == (0.5, 1e-4)


def test_a_saved_value_that_changes_nothing_keeps_the_origin_that_explains_it(train, cfg_of):
    train("--env=CartPole-v1", "--gamma=0.5")
    cfg = cfg_of(*RUN, "--env=CartPole-v1")
    origins = [cfg.origin(name) for name in ("gamma", "nonlinearity", "adam_eps")]
    assert origins == ["saved", "env", "default"]


def test_a_configuration_file_wins_over_the_saved_run(train, cfg_of, tmp_path):
    train("--env=CartPole-v1", "--gamma=0.5")
    (tmp_path / "new.toml").write_text("gamma = 0.6")
    assert cfg_of(*RUN, "--config=new.toml").gamma == 0.6


def test_the_saved_run_wins_over_presets_and_the_script(train, plugin):
    train("-p", plugin, "--env=maze", "--gamma=0.5")
    argv = ["-p", plugin, *RUN, "--preset=fast"]
    parser, partial = parse_sf_args(argv)
    assert partial.gamma == 0.5
    parser.set_defaults(gamma=0.4)
    cfg = full_cfg(parser, argv)
    assert (cfg.gamma, cfg.batch_size) == (0.5, 512)


def test_saved_values_of_script_arguments_come_back_typed():
    cfg = default_cfg(env="CartPole-v1")
    write_config("runs/run", Config({**cfg, "size": "7"}, cfg.origins))
    parser, _ = parse_sf_args(list(RUN))
    parser.add_argument("--size", type=int, default=1)
    cfg = full_cfg(parser, list(RUN))
    assert (cfg.size, cfg.origin("size")) == (7, "saved")


@pytest.mark.parametrize("behavior", ["restart", "overwrite"])
def test_a_run_that_is_not_continued_brings_nothing_back(train, cfg_of, behavior):
    train("--env=CartPole-v1", "--gamma=0.5")
    assert cfg_of(*RUN, "--env=CartPole-v1", f"--restart_behavior={behavior}").gamma == 0.98


def test_what_describes_only_the_command_does_not_come_back(train, cfg_of, plugin):
    train("--env=CartPole-v1", "--restart_behavior=overwrite", "-v", "-p", plugin, "--load_checkpoint_kind=best")
    cfg = cfg_of(*RUN)
    assert (cfg.restart_behavior, cfg.verbose, cfg.plugins, cfg.load_checkpoint_kind) == ("resume", False, [], "latest")


def test_a_folder_that_was_moved_is_found_where_it_is(train, cfg_of, tmp_path):
    train("--env=CartPole-v1", "--gamma=0.5")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "run").rename(tmp_path / "elsewhere" / "renamed")
    cfg = cfg_of("--train_dir=elsewhere", "--experiment=renamed")
    assert (cfg.gamma, cfg.train_dir, cfg.experiment) == (0.5, "elsewhere", "renamed")


def test_derived_values_come_back_as_they_were_asked_for(train, cfg_of):
    train("--env=CartPole-v1", "--use_rnn=True", "--rollout=16")
    cfg = cfg_of(*RUN, "--rollout=64")
    assert (cfg.recurrence, cfg.origin("recurrence")) == (64, "auto")
    saved = cfg_of(*RUN).replace("engine", serial_mode=True, num_workers=3)
    write_config("runs/run", saved)
    cfg = cfg_of(*RUN)
    assert (cfg.serial_mode, cfg.num_workers) == (False, "auto")


def test_a_component_that_was_chosen_is_still_chosen(train, cfg_of):
    train("--env=CartPole-v1", "--core=lstm")
    cfg = cfg_of(*RUN)
    assert (cfg.core, cfg.use_rnn, cfg.rnn_type) == ("lstm", True, "lstm")
    assert (cfg_of(*RUN, "--use_rnn=False").core, cfg_of(*RUN, "--core=gru").rnn_type) == ("auto", "gru")


def test_a_damaged_configuration_is_refused(train, cfg_of, tmp_path):
    train("--env=CartPole-v1")
    (tmp_path / "runs/run/config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config.json cannot be read"):
        cfg_of(*RUN, "--env=CartPole-v1")


def test_a_value_that_is_no_longer_accepted_names_the_run(train, cfg_of):
    cfg = train("--env=CartPole-v1")
    write_config("runs/run", cfg.replace("cli", optimizer="sgd"))
    with pytest.raises(UsageError, match="optimizer='sgd' in run 'run' is not one of adam, lamb"):
        cfg_of(*RUN)


# ---- evaluation ----


def test_evaluation_takes_everything_from_the_run(train, cfg_of):
    train("--env=CartPole-v1", "--gamma=0.5", "--device=cpu", "--seed=3", "--batch_size=2048")
    cfg = cfg_of(*RUN, "--episodes=7", "--json", evaluation=True)
    assert (cfg.env, cfg.gamma, cfg.batch_size) == ("CartPole-v1", 0.5, 2048)
    assert (cfg.episodes, cfg.json, cfg.eval_deterministic) == (7, True, False)
    assert (cfg.device, cfg.seed) == ("auto", None)  # of the machine and command that trained


def test_evaluation_is_not_stopped_by_what_only_matters_for_training(train, cfg_of):
    train("--env=CartPole-v1", "--async_rl=False", "--num_workers=2", "--num_envs_per_worker=4")
    assert cfg_of(*RUN, "--num_workers=3", evaluation=True).num_workers == 3


def test_evaluation_of_a_run_that_is_not_there_names_those_that_are(train, cfg_of):
    with pytest.raises(UsageError, match=r"there is no run 'run' in runs .*there are no runs in it"):
        cfg_of(*RUN, evaluation=True)
    train("--env=CartPole-v1")
    with pytest.raises(UsageError, match=r"there is no run 'other' in runs .runs there: run"):
        cfg_of("--experiment=other", "--train_dir=runs", evaluation=True)


def test_evaluation_accepts_sample_factorys_word_for_episodes(train, cfg_of):
    train("--env=CartPole-v1")
    assert cfg_of(*RUN, "--sample_env_episodes=9", evaluation=True).episodes == 9


@pytest.mark.parametrize("env", ["py:my_module:make", "gym:my_pkg:Maze-v0", "my_pkg:Maze-v0"])
@pytest.mark.parametrize("evaluation", [True, False])
def test_a_stored_name_that_says_what_to_execute_must_be_named_again(train, cfg_of, env, evaluation):
    train(f"--env={env}")
    with pytest.raises(UsageError, match=f"name it again: --env={env}"):
        cfg_of(*RUN, evaluation=evaluation)
    assert cfg_of(*RUN, f"--env={env}", evaluation=evaluation).env == env


def test_an_environment_of_a_script_needs_the_script(cfg_of, plugin, train):
    train("-p", plugin, "--env=maze")
    with pytest.raises(UsageError, match=r"was trained with env 'maze'.*-p my_file.py.*or run that script"):
        cfg_of(*RUN, evaluation=True)
    assert cfg_of(*RUN, "-p", plugin, evaluation=True).maze_size == 20


def test_a_gymnasium_namespace_need_not_be_named_again(cfg_of):
    write_config("runs/run", default_cfg(env="CartPole-v1").replace("cli", env="gym:Acrobot-v1", experiment="run"))
    assert cfg_of(*RUN, evaluation=True).env == "gym:Acrobot-v1"


def test_checkpoint_override_defaults_makes_a_run_the_base(train):
    train("--env=CartPole-v1", "--gamma=0.5", "--rollout=16")
    argv = ["--env=CartPole-v1", "--rollout=64"]
    parser, partial = parse_sf_args(argv)
    saved = checkpoint_override_defaults(Config({**partial, "train_dir": "runs", "experiment": "run"}), parser)
    assert saved.gamma == 0.5
    assert parser.get_default("gamma") == 0.5
    cfg = full_cfg(parser, argv)
    assert (cfg.gamma, cfg.rollout) == (0.5, 64)


def test_a_continued_asynchronous_run_keeps_the_numbers_behind_auto(tmp_path):
    def saved(**changes):
        cfg = default_cfg(env="CartPole-v1", train_dir=str(tmp_path), experiment="run", **changes)
        write_config(tmp_path / "run", cfg.replace("auto", num_workers=3, num_envs_per_worker=8))

    asked = default_cfg(env="CartPole-v1", train_dir=str(tmp_path), experiment="run")
    assert numbers_of_envs(asked) == {}
    saved()
    assert numbers_of_envs(asked) == {"num_workers": 3, "num_envs_per_worker": 8}
    assert numbers_of_envs(asked.replace("cli", num_workers=5)) == {"num_envs_per_worker": 8}
    assert numbers_of_envs(asked.replace("cli", restart_behavior="overwrite")) == {}
    saved(async_rl=False)  # these follow from the configuration
    assert numbers_of_envs(asked) == {}


def test_a_folder_of_somebody_else_that_may_not_be_looked_into_is_a_sentence(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_file", denied)
    with pytest.raises(UsageError, match=r"exp cannot be read \(Permission denied\); choose another --train_dir"):
        saved_values({"train_dir": tmp_path, "experiment": "exp", "restart_behavior": "resume"}, evaluation=False)
