import argparse

import pytest

from sf_core import register_env
from sf_core.cfg.arguments import default_cfg, full_cfg, parse_full_cfg, parse_sf_args
from sf_core.plugins.script import global_model_factory
from sf_core.plugins.specs import Arg
from sf_core.utils.errors import UsageError

ENV = "--env=CartPole-v1"


def make_maze(full_env_name, cfg, env_config, render_mode=None):
    raise NotImplementedError


def make_encoder(cfg, obs_space):
    raise NotImplementedError


def both_passes(argv, prepare=lambda parser: None):
    parser, _ = parse_sf_args(argv)
    prepare(parser)
    return full_cfg(parser, argv)


def test_the_first_pass_gives_a_real_parser_and_the_values_as_they_stand():
    parser, partial = parse_sf_args([ENV, "--gamma=0.5", "--not_yet=1"])
    assert isinstance(parser, argparse.ArgumentParser)
    assert (partial.env, partial.gamma, partial.origin("gamma")) == ("CartPole-v1", 0.5, "cli")
    assert partial.origin("nonlinearity") == "env"
    assert parser.get_default("nonlinearity") == partial.nonlinearity  # the env's default, already in the parser


@pytest.mark.parametrize(
    "argv",
    [
        ["--env=no_such_env"],
        ["--no_such_flag"],
        ["-h"],
        ["--gamma=high"],
        ["--gamma"],
        ["--config=absent.toml"],
        ["-p", "no_such_plugin"],
        ["stray"],
        ["--help", "--env=no_such_env"],
        [],
    ],
)
@pytest.mark.parametrize("evaluation", [False, True])
def test_the_first_pass_never_exits_and_never_raises(argv, evaluation, capsys):
    parse_sf_args(argv, evaluation)
    assert capsys.readouterr() == ("", "")


def test_a_script_adds_arguments_and_defaults_between_the_passes():
    def prepare(parser):
        parser.add_argument("--size", type=int, default="4")
        parser.add_argument("--mode", choices=("a", "b"), default="a")
        parser.add_argument("--fast", action="store_true")
        parser.add_argument("--tags", nargs="*", default=["x"])
        parser.add_argument("--hidden", default=argparse.SUPPRESS)
        parser.set_defaults(gamma="0.9", rollout=16)

    cfg = both_passes([ENV, "--size=5", "--rollout=64"], prepare)
    assert (cfg.size, cfg.mode, cfg.fast, cfg.tags) == (5, "a", False, ["x"])
    assert "hidden" not in cfg
    assert (cfg.gamma, cfg.origin("gamma")) == (0.9, "script")
    assert (cfg.rollout, cfg.origin("rollout")) == (64, "cli")
    assert both_passes([ENV], prepare).size == 4  # typed as argparse types a default that is a text
    assert both_passes([ENV, "--fast"], prepare).origin("fast") == "cli"


def test_a_script_argument_that_is_wrong_or_missing_is_a_usage_error():
    with pytest.raises(UsageError, match="invalid int value: 'x'"):
        both_passes([ENV, "--size=x"], lambda parser: parser.add_argument("--size", type=int))
    with pytest.raises(UsageError, match="--size"):
        both_passes([ENV], lambda parser: parser.add_argument("--size", required=True))


def test_an_environment_may_be_registered_after_the_first_pass():
    def prepare(parser):
        register_env("late", make_maze, defaults={"gamma": 0.3}, args=(Arg("--late_size", int, 7),))

    cfg = both_passes(["--env=late", "--late_size=8"], prepare)
    assert (cfg.gamma, cfg.origin("gamma"), cfg.late_size) == (0.3, "env", 8)


def test_script_defaults_rank_above_the_environments_and_below_the_rest():
    register_env("maze", make_maze, defaults={"gamma": 0.1, "rollout": 8, "use_rnn": False})
    cfg = both_passes(["--env=maze", "--gamma=0.3"], lambda parser: parser.set_defaults(gamma=0.2, rollout=16))
    assert (cfg.gamma, cfg.rollout, cfg.use_rnn) == (0.3, 16, False)
    assert [cfg.origin(name) for name in ("gamma", "rollout", "use_rnn")] == ["cli", "script", "env"]


def test_a_script_default_that_chooses_an_environment_brings_its_defaults():
    register_env("maze", make_maze, defaults={"gamma": 0.1})
    cfg = both_passes([], lambda parser: parser.set_defaults(env="maze"))
    assert (cfg.env, cfg.gamma) == ("maze", 0.1)


def test_a_misspelt_script_default_is_refused():
    with pytest.raises(UsageError, match="the script has 'gama', which is no option; did you mean 'gamma'"):
        both_passes([ENV], lambda parser: parser.set_defaults(gama=0.5))


def test_a_mistyped_script_default_is_refused():
    with pytest.raises(UsageError, match="gamma='high' in the script is not a number"):
        both_passes([ENV], lambda parser: parser.set_defaults(gamma="high"))


def test_a_registered_model_part_is_chosen_unless_another_is_named():
    global_model_factory().register_encoder_factory(make_encoder)
    cfg = both_passes([ENV])
    assert (cfg.encoder, cfg.origin("encoder")) == ("script/make_encoder", "script")
    assert both_passes([ENV, "--encoder=mlp"]).encoder == "mlp"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--use_rnn=False"], "use_rnn", False),
        (["--use_rnn", "false"], "use_rnn", False),
        (["--no_use_rnn"], "use_rnn", False),
        (["--serial_mode"], "serial_mode", True),
        (["--train_for_env_steps=1e7"], "train_for_env_steps", 10_000_000),
        (["--train_for_env_steps", "10_000_000"], "train_for_env_steps", 10_000_000),
        (["--num_workers=auto"], "num_workers", "auto"),
        (["--num_workers=8"], "num_workers", 8),
        (["--encoder_mlp_layers", "64", "32"], "encoder_mlp_layers", [64, 32]),
        (["--encoder_mlp_layers=64,32"], "encoder_mlp_layers", [64, 32]),
        (["--decoder_mlp_layers="], "decoder_mlp_layers", []),
        (["--normalize_input_keys", "none"], "normalize_input_keys", None),
        (["--obs_subtract_mean", "-1.5e-1"], "obs_subtract_mean", -0.15),
        (["--save_milestones_sec", "-1"], "save_milestones_sec", -1),
        (["--seed=none"], "seed", None),
        (["-v"], "verbose", True),
        (["--gamma=0.5", "--gamma=0.6"], "gamma", 0.6),
    ],
)
def test_values_are_read_from_every_spelling(words, name, value, cfg_of):
    cfg = cfg_of(ENV, *words)
    assert cfg[name] == value
    assert cfg.origin(name) == "cli"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--gamma=abc"], r"^--gamma=abc is not a number\.$"),
        (["--gamma"], r"^--gamma needs a value \(a number\)"),
        (["--rollout=1.5"], r"^--rollout=1\.5 is not an integer\.$"),
        (["--use_rnn=maybe"], r"^--use_rnn=maybe is not True or False\.$"),
        (["--no_use_rnn=True"], r"--no_use_rnn takes no value"),
        (["--no_gamma"], r"^--no_gamma is no flag: --gamma is one that has no opposite\.$"),
        (["--optimizer=sgd"], r"^--optimizer=sgd is not one of adam, lamb\.$"),
        (["--encoder_mlp_layers", "64", "x"], r"^x in --encoder_mlp_layers is not an integer\.$"),
        (["--batch_size=0"], r"^--batch_size=0 is too small; the smallest value is 1\.$"),
        (["--seed=1e25"], r"^--seed=1e25 is not between 0 and 1\.84467e\+19\.$"),
        (["--gama=0.9"], r"^unknown flag --gama; did you mean --gamma\?"),
        (["--env_frame=8"], r"^unknown flag --env_frame; did you mean --env_frames"),  # abbreviations are not swallowed
        (["--zzzzzz"], r"^unknown flag --zzzzzz; --help lists what there is\."),
        (["-x"], r"^unknown flag -x"),
        (["stray"], r"^'stray' is no flag"),
        (["--episodes=3"], r"^--episodes is a flag of sf-eval and sf-enjoy"),
        (["--batch_size=1000"], r"try 992 or 1024\.$"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words, sentence, cfg_of):
    with pytest.raises(UsageError, match=sentence) as caught:
        cfg_of(ENV, *words)
    assert "\n" not in str(caught.value)


def test_an_environment_must_be_named(cfg_of):
    with pytest.raises(UsageError, match="add --env=NAME"):
        cfg_of()


def test_an_unknown_environment_names_close_ones(cfg_of):
    with pytest.raises(UsageError, match="CartPole-v1"):
        cfg_of("--env=CartPol-v")


def test_the_command_line_form_prints_the_sentence_and_exits_with_two(capsys):
    argv = [ENV, "--gamma=abc"]
    parser, _ = parse_sf_args(argv)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("--gamma=abc is not a number.\n")
    assert err.count("\n") == 1


def test_the_traceback_is_shown_only_with_v(capsys):
    argv = [ENV, "--gamma=abc", "-v"]
    parser, _ = parse_sf_args(argv)
    with pytest.raises(SystemExit):
        parse_full_cfg(parser, argv)
    assert "Traceback" in capsys.readouterr().err


def test_the_words_of_the_process_are_used_when_none_are_given(monkeypatch):
    monkeypatch.setattr("sys.argv", ["sf-train", ENV, "--gamma=0.25"])
    parser, partial = parse_sf_args()
    assert partial.gamma == 0.25
    assert parse_full_cfg(parser).gamma == 0.25


def help_of(argv, capsys, prepare=lambda parser: None):
    parser, _ = parse_sf_args(argv)
    prepare(parser)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_without_an_environment_shows_the_core_and_where_to_look(capsys):
    text = help_of(["-h"], capsys)
    assert "--gamma" in text
    assert "add --env=name" in text.lower()
    assert "--episodes" not in text


def test_help_shows_the_flags_of_the_components_and_the_defaults_in_force(capsys, plugin):
    text = help_of(["-p", plugin, "--env=maze", "--help"], capsys)
    assert "env maze, from plugin mazes:" in text
    assert "encoder maze_cnn, from plugin mazes:" in text
    assert "--mazes_assets" in text
    assert "default 0.8, from component" in " ".join(text.split())  # gamma


def test_help_shows_what_the_script_added(capsys):
    text = help_of([ENV, "-h"], capsys, lambda parser: parser.add_argument("--size", help="of a 100%% maze"))
    assert "--size" in text
    assert "100% maze" in text


def test_help_for_an_unknown_environment_says_so(capsys):
    argv = ["--env=no_such_env", "-h"]
    parser, _ = parse_sf_args(argv)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 2
    assert "no_such_env" in capsys.readouterr().err


def test_plain_argparse_methods_still_work():
    parser, _ = parse_sf_args([ENV])
    namespace, unknown = parser.parse_known_args(["--gamma=0.5", "--what"])
    assert (namespace.gamma, namespace.nonlinearity, unknown) == (0.5, parser.get_default("nonlinearity"), ["--what"])
    with pytest.raises(SystemExit) as caught:
        parser.error("these two do not go together")
    assert caught.value.code == 2


def test_a_parser_from_elsewhere_is_refused():
    with pytest.raises(TypeError, match="not from parse_sf_args"):
        full_cfg(argparse.ArgumentParser(), [])


def test_a_flag_without_effect_is_accepted_and_mentioned_once(cfg_of, caplog):
    cfg_of(ENV, "--batched_sampling=True", "--value_bootstrap=True")
    cfg_of(ENV, "--batched_sampling=True")
    assert [record.message.split(" has no effect")[0] for record in caplog.records] == [
        "--batched_sampling",
        "--value_bootstrap",
    ]


def test_nothing_is_written(cfg_of, tmp_path):
    cfg_of(ENV)
    assert list(tmp_path.iterdir()) == []


def test_default_cfg_needs_no_environment_and_looks_at_no_files(tmp_path):
    cfg = default_cfg(rollout="16", encoder_mlp_layers=[32])
    assert (cfg.env, cfg.experiment, cfg.rollout, cfg.encoder_mlp_layers) == ("env", "test", 16, [32])
    assert default_cfg(env="CartPole-v1").origin("nonlinearity") == "env"
    with pytest.raises(UsageError, match="did you mean 'gamma'"):
        default_cfg(gama=1)


def test_lists_are_not_shared_between_configurations():
    default_cfg()["encoder_mlp_layers"].append(1)
    assert default_cfg().encoder_mlp_layers == [512, 512]
