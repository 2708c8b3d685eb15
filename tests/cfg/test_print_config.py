import pytest

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args


def printed(argv, capsys, prepare=lambda parser: None):
    parser, _ = parse_sf_args(argv)
    prepare(parser)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 0
    return capsys.readouterr().out


def row(text, name):
    return next(line.split(None, 2) for line in text.replace("*", " ").splitlines() if line.split()[:1] == [name])


def test_every_value_is_shown_with_its_origin_and_nothing_is_written(capsys, tmp_path, plugin):
    before = set(tmp_path.iterdir())
    text = printed(
        ["-p", plugin, "--env=maze", "--rollout=32", "--print_config"], capsys, lambda p: p.add_argument("--mine")
    )
    assert row(text, "env") == ["env", "maze", "cli"]
    assert row(text, "gamma") == ["gamma", "0.8", "component"]
    assert row(text, "batch_size") == ["batch_size", "512", "env"]
    assert row(text, "adam_eps") == ["adam_eps", "1e-06", "default"]
    assert row(text, "recurrence")[1:] == ["32", "auto (asked for: -1, default)"]
    assert row(text, "mine") == ["mine", "none", "default"]
    assert "[env maze, from plugin mazes]" in text
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "__pycache__"}


def test_bad_values_are_refused_before_anything_is_printed(capsys):
    argv = ["--env=CartPole-v1", "--batch_size=1000", "--print_config"]
    parser, _ = parse_sf_args(argv)
    with pytest.raises(SystemExit) as caught:
        parse_full_cfg(parser, argv)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""
