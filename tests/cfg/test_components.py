import pytest

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.utils.errors import UsageError


@pytest.fixture
def maze(cfg_of, plugin):
    return lambda *argv, env="maze": cfg_of("-p", plugin, f"--env={env}", *argv)


def test_defaults_of_env_component_and_preset_win_in_this_order_below_the_command_line(maze):
    # core: gamma 0.99, rollout 32, batch_size 1024, encoder auto. The env sets gamma 0.9, batch_size 512 and the
    # encoder; the encoder sets gamma 0.8 and rollout 16; the preset sets gamma 0.7 and batch_size 2048.
    cfg = maze()
    assert (cfg.encoder, cfg.gamma, cfg.rollout, cfg.batch_size) == ("maze_cnn", 0.8, 16, 512)
    assert [cfg.origin(n) for n in ("encoder", "gamma", "rollout", "batch_size")] == [
        "env",
        "component",
        "component",
        "env",
    ]
    cfg = maze("--preset=fast")
    assert (cfg.gamma, cfg.rollout, cfg.batch_size) == (0.7, 16, 2048)
    assert [cfg.origin(n) for n in ("gamma", "rollout", "batch_size")] == ["preset", "component", "preset"]
    assert maze("--preset=fast", "--gamma=0.6").gamma == 0.6


def test_another_encoder_takes_its_defaults_away(maze):
    cfg = maze("--encoder=mlp")
    assert (cfg.gamma, cfg.rollout) == (0.9, 32)
    assert "maze_depth" not in cfg


def test_flags_of_chosen_components_are_there_with_their_defaults(maze):
    cfg = maze()
    assert (cfg.maze_size, cfg.origin("maze_size")) == (20, "env")  # the env's own defaults beat those of its flags
    assert (cfg.fog, cfg.origin("fog")) == (False, "default")
    assert (cfg.maze_depth, cfg.mazes_assets) == (3, "here")
    cfg = maze("--maze_size=5", "--fog", "--maze_depth=2", "--mazes_assets=there")
    assert (cfg.maze_size, cfg.fog, cfg.maze_depth, cfg.mazes_assets) == (5, True, 2, "there")
    assert maze("--no_fog").fog is False
    with pytest.raises(UsageError, match="--maze_size=big is not an integer"):
        maze("--maze_size=big")
    with pytest.raises(UsageError, match=r"^--no_maze_size is no flag: --maze_size is one that has no opposite\.$"):
        maze("--no_maze_size")
    assert maze("--no_fog").fog is False


def test_the_same_flag_of_an_environment_that_was_not_chosen_does_not_matter(maze):
    assert maze(env="hall").maze_size == 99


def test_identical_flags_of_two_components_merge(maze):
    assert maze("--encoder=same_flag", "--maze_size=3").maze_size == 3


def test_different_flags_of_two_components_name_both_owners(maze):
    with pytest.raises(
        UsageError, match=r"--maze_size is declared differently by env maze, .* and by encoder other_flag"
    ):
        maze("--encoder=other_flag")


def test_a_flag_of_the_core_cannot_be_declared_again(maze):
    with pytest.raises(UsageError, match=r"env greedy, from plugin mazes, declares --gamma.*`defaults`"):
        maze(env="greedy")


def test_a_flag_of_a_component_that_was_not_chosen_is_attributed(cfg_of, plugin):
    with pytest.raises(
        UsageError, match=r"--maze_depth` belongs to encoder maze_cnn \(plugin mazes\).*--env=CartPole-v1"
    ):
        cfg_of("-p", plugin, "--env=CartPole-v1", "--maze_depth=2")


def test_a_misspelt_default_names_plugin_key_and_the_close_one(maze):
    with pytest.raises(
        UsageError, match=r"env misspelt \(plugin mazes\) has 'gama', which is no option; did you mean 'gamma'"
    ):
        maze(env="misspelt")


def test_a_mistyped_default_names_the_plugin(maze):
    with pytest.raises(UsageError, match=r"gamma='high' in env mistyped \(plugin mazes\) is not a number"):
        maze(env="mistyped")


def test_a_missing_package_names_the_pip_install(maze):
    with pytest.raises(UsageError, match="pip install xyz-package"):
        maze(env="absent")


def test_help_does_not_need_the_missing_package(plugin, capsys):
    argv = ["-p", plugin, "--env=absent", "-h"]
    parser, _ = parse_sf_args(argv)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 0


def test_a_preset_for_other_environments_is_refused(cfg_of, plugin):
    with pytest.raises(UsageError, match="fast"):
        cfg_of("-p", plugin, "--env=CartPole-v1", "--preset=fast")


@pytest.mark.parametrize(
    "flag", ["--encoder", "--core", "--decoder", "--actor_critic", "--observers", "--env_wrappers", "--preset"]
)
def test_an_unknown_component_of_any_kind_is_refused(cfg_of, flag):
    with pytest.raises(UsageError, match="no_such_thing"):
        cfg_of("--env=CartPole-v1", f"{flag}=no_such_thing")


def test_wrappers_are_a_list_of_names(maze):
    assert maze("--env_wrappers=dusk,dusk").env_wrappers == ["dusk", "dusk"]


def test_a_plugin_that_is_not_used_adds_nothing_to_a_configuration(cfg_of, plugin, monkeypatch, tmp_path):
    # An explicitly requested plugin takes part, so its own flags appear; the env's configuration is otherwise the same.
    alone, beside = cfg_of("--env=CartPole-v1"), cfg_of("-p", plugin, "--env=CartPole-v1")
    different = {name for name in {*alone, *beside} if alone.get(name) != beside.get(name)}
    assert different == {"plugins", "mazes_assets"}


def test_a_broken_plugin_is_mentioned_with_an_unknown_flag(cfg_of, tmp_path, monkeypatch):
    broken = tmp_path / "half.py"
    broken.write_text(
        "from sf_core import EnvSpec, hookimpl\n"
        "@hookimpl\ndef sf_environments():\n    yield EnvSpec(name='ok', factory='a:b')\n"
        "@hookimpl\ndef sf_encoders():\n    raise RuntimeError('late boom')\n"
    )
    with pytest.raises(UsageError, match=r"unknown flag --zzzz.*half.*late boom"):
        cfg_of("-p", str(broken), "--env=ok", "--zzzz=1")


def test_partial_values_already_include_component_flags(plugin):
    _, partial = parse_sf_args(["-p", plugin, "--env=maze", "--maze_size=7"])
    assert (partial.maze_size, partial.maze_depth) == (7, 3)
