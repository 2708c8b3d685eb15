import pytest

from sf_core.utils.errors import UsageError


@pytest.fixture
def toml(tmp_path):
    def write(text, name="run.toml"):
        (tmp_path / name).write_text(text)
        return f"--config={name}"

    return write


def test_options_are_given_flat_or_under_headings(cfg_of, toml):
    cfg = cfg_of(toml('env = "CartPole-v1"\nuse-rnn = false\n[learning]\ngamma = 0.5\nencoder_mlp_layers = [32, 16]\n'))
    assert (cfg.env, cfg.gamma, cfg.encoder_mlp_layers, cfg.use_rnn) == ("CartPole-v1", 0.5, [32, 16], False)
    assert cfg.origin("gamma") == "config"
    assert cfg.origin("nonlinearity") == "env"  # the file chose the env, whose defaults apply


def test_the_command_line_wins_over_the_file_and_the_file_over_presets(cfg_of, toml, plugin):
    config = toml('env = "maze"\npreset = "fast"\ngamma = 0.5\nmaze_size = 4\n')
    cfg = cfg_of(config, "-p", plugin)
    assert (cfg.gamma, cfg.batch_size, cfg.maze_size) == (0.5, 2048, 4)
    assert cfg_of(config, "-p", plugin, "--gamma=0.4").gamma == 0.4


def test_the_file_may_name_plugins(cfg_of, toml, plugin):
    cfg = cfg_of(toml(f'env = "maze"\nplugins = ["{plugin}"]\n'))
    assert (cfg.maze_size, cfg.plugins) == (20, [plugin])


def test_the_file_may_set_arguments_of_the_script(toml):
    from sf_core.cfg.arguments import full_cfg, parse_sf_args

    argv = [toml('env = "CartPole-v1"\nsize = "5"\n')]
    parser, _ = parse_sf_args(argv)
    parser.add_argument("--size", type=int, default=1)
    cfg = full_cfg(parser, argv)
    assert (cfg.size, cfg.origin("size")) == (5, "config")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gama = 0.5", r"run\.toml has 'gama', which is no option; did you mean 'gamma'"),
        ("gamma = 'high'", r"gamma='high' in run\.toml is not a number"),
        ("gamma = 2", r"gamma=2 in run\.toml is not between 0 and 1"),
        ("rollout = true", r"rollout=True in run\.toml is not an integer"),
        ("encoder_mlp_layers = 64", "is not a list"),
        ("gamma = 0.5\n[more]\ngamma = 0.5", "gives gamma twice"),
        ("[a.b]\ngamma = 0.5", "heading inside a heading"),
        ("gamma = ", "is not valid TOML"),
        ("config = 'x'", "can only be given on the command line"),
        ("maze_depth = 3", "no option"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_name(cfg_of, toml, text, sentence):
    with pytest.raises(UsageError, match=sentence):
        cfg_of(toml(text), "--env=CartPole-v1")


def test_a_file_that_is_not_there_is_refused(cfg_of):
    with pytest.raises(UsageError, match=r"--config=absent\.toml: there is no such file"):
        cfg_of("--config=absent.toml", "--env=CartPole-v1")


def test_one_file_may_serve_training_and_evaluation(cfg_of, toml):
    assert "episodes" not in cfg_of(toml("episodes = 10"), "--env=CartPole-v1")
