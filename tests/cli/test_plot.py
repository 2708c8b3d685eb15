"""`sf-plot`: which runs belong together, where a mean may be taken, and what the picture is made of."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sf_core.cli import plot
from sf_core.cli.curves import band_of, bootstrap_interval, curve_of, grouped, metrics_of
from sf_core.cli.runs import find_runs

_spec = importlib.util.spec_from_file_location("run_folders", Path(__file__).parent / "run_folders.py")
run_folders = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_folders)
a_run, line = run_folders.a_run, run_folders.line

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


def groups_of(train_dir, by="config", metric="reward_mean"):
    runs = find_runs([str(train_dir)])
    curves = {run.name: curve_of(run, metric) for run in runs}
    return {group.label: [curve.run for curve in group.curves] for group in grouped(runs, curves, by)}


def curves_of(train_dir, metric="reward_mean"):
    return [curve_of(run, metric) for run in find_runs([str(train_dir)])]


def test_a_run_that_went_back_to_a_checkpoint_is_one_curve(tmp_path):
    a_run(tmp_path, "run", lines=[line(100, None), line(200, 2.0), line(300, 3.0), line(200, 5.0), line(400, 4.0)])
    (curve,) = curves_of(tmp_path)
    assert curve.env_steps.tolist() == [200, 400]
    assert curve.value.tolist() == [5.0, 4.0]
    assert curve.seconds.tolist() == [20, 40]


def test_evaluations_are_drawn_at_the_steps_of_their_checkpoints_the_last_one_too(tmp_path):
    first, last = ({"env_steps": steps, "reward_mean": steps / 10} for steps in (100, 300))
    # the last one comes when the goal is reached, and the last report of all follows it
    a_run(tmp_path, "run", lines=[line(100), line(200, eval=first), line(300), line(300, eval=last), line(300)])
    (curve,) = curves_of(tmp_path, "eval.reward_mean")
    assert (curve.env_steps.tolist(), curve.value.tolist()) == ([100, 300], [10.0, 30.0])


def test_two_runs_of_one_name_are_two_curves(tmp_path):
    folders = [a_run(tmp_path / place, "pole", lines=[line(100, value)]) for place, value in (("a", 1.0), ("b", 2.0))]
    runs = find_runs([str(folder) for folder in folders])
    assert [run.name for run in runs] == [folder.as_posix() for folder in folders]
    assert [curve_of(run, "reward_mean").value.tolist() for run in runs] == [[1.0], [2.0]]


def test_numbers_inside_of_others_have_a_dot_in_their_name(tmp_path):
    evaluated = {"env_steps": 90, "extra_stats": {"kills": 2.5}}
    a_run(tmp_path, "run", lines=[line(100, policy_lag={"mean": 1.5, "histogram": {"1": 7}}, eval=evaluated)])
    (curve,) = curves_of(tmp_path, "policy_lag.mean")
    assert curve.value.tolist() == [1.5]
    (curve,) = curves_of(tmp_path, "eval.extra_stats.kills")
    assert (curve.env_steps.tolist(), curve.value.tolist()) == ([90], [2.5])
    assert [name for name in metrics_of(find_runs([str(tmp_path)])) if name.startswith("policy_lag")] == [
        "policy_lag.mean"
    ]


def test_seeds_of_one_configuration_are_a_group_with_the_name_they_share(tmp_path):
    for seed in (1, 2):
        a_run(tmp_path, f"wide_s{seed}", seed=seed, rnn_size=512, lines=[line(100)])
        a_run(tmp_path, f"narrow-{seed}", seed=seed, rnn_size=64, keep_checkpoints=seed, lines=[line(100)])
    assert groups_of(tmp_path) == {"narrow": ["narrow-1", "narrow-2"], "wide": ["wide_s1", "wide_s2"]}


def test_without_telling_names_a_group_is_called_by_what_differs(tmp_path):
    for index, gamma in enumerate((0.9, 0.9, 0.99)):
        a_run(tmp_path, f"run_{index}", seed=index, gamma=gamma, lines=[line(100)])
    assert groups_of(tmp_path) == {"gamma=0.9": ["run_0", "run_1"], "gamma=0.99": ["run_2"]}


def test_grouping_can_be_asked_for(tmp_path):
    for index, gamma in enumerate((0.9, 0.99)):
        a_run(tmp_path, f"run_{index}", gamma=gamma, lines=[line(100)])
    assert groups_of(tmp_path, "experiment") == {"run": ["run_0", "run_1"]}
    assert groups_of(tmp_path, "run") == {"run_0": ["run_0"], "run_1": ["run_1"]}
    assert groups_of(tmp_path, "gamma,env").keys() == {"gamma=0.9, env=CartPole-v1", "gamma=0.99, env=CartPole-v1"}


def test_a_mean_is_taken_where_all_runs_have_values_on_a_common_grid(tmp_path):
    a_run(tmp_path, "a", lines=[line(100, 1.0), line(300, 3.0), line(500, 5.0)])
    a_run(tmp_path, "b", lines=[line(200, 4.0), line(400, 8.0)])
    band = band_of(curves_of(tmp_path), "env_steps")
    assert (band.x[0], band.x[-1]) == (200, 400)
    # between the points of a: 2 and 4; the mean with 4 and 8
    assert (band.mean[0], band.mean[-1]) == (3.0, 6.0)
    assert np.all((band.low <= band.mean) & (band.mean <= band.high))
    assert band_of(curves_of(tmp_path)[:1], "env_steps") is None


def test_runs_that_share_one_moment_have_a_mean_there(tmp_path):
    for seed, value in enumerate((1.0, 2.0, 6.0)):
        a_run(tmp_path, f"short_{seed}", seed=seed, lines=[line(100, value)])
    band = band_of(curves_of(tmp_path), "env_steps")
    assert (band.x.tolist(), band.mean.tolist()) == ([100], [3.0])
    assert 1.0 <= band.low[0] < 3.0 < band.high[0] <= 6.0


def test_the_band_is_the_bootstrap_interval_of_the_mean():
    values = np.random.default_rng(1).normal(5.0, 2.0, (30, 1))
    low, high = bootstrap_interval(values)
    # for 30 normal values close to mean ± 1.96 s / √n
    half = 1.96 * values.std(ddof=1) / np.sqrt(30)
    assert (low[0], high[0]) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.12)
    again = bootstrap_interval(values)
    assert (again[0] == low).all()


def test_equal_runs_have_no_spread():
    low, high = bootstrap_interval(np.full((4, 3), 2.5))
    assert low == pytest.approx(2.5)
    assert high == pytest.approx(2.5)


def test_without_matplotlib_one_sentence_says_what_to_install(tmp_path, monkeypatch, capsys):
    a_run(tmp_path, "run", lines=[line(100)])
    monkeypatch.setattr(plot, "is_installed", lambda name: False)
    assert plot.main([str(tmp_path), "-o", str(tmp_path / "curves.png")]) == 2
    assert 'pip install "sf-core[plot]"' in capsys.readouterr().err
    assert not (tmp_path / "curves.png").exists()


@needs_matplotlib
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_and_the_last_values(tmp_path, capsys, suffix):
    for seed in (1, 2):
        a_run(tmp_path, f"cart_{seed}", seed=seed, lines=[line(100, 1.0 * seed), line(200, 2.0 * seed)])
        a_run(tmp_path, f"pong_{seed}", seed=seed, env="pong", lines=[line(100, 1.0 * seed), line(200, 2.0 * seed)])
    a_run(tmp_path, "fresh")
    output = tmp_path / f"curves.{suffix}"
    assert plot.main([str(tmp_path), "-o", str(output)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["cart", "CartPole-v1", "2", "200", "3", "2", "to", "4"]
    assert err == "fresh has no reward_mean yet and is left out\n"
    assert output.stat().st_size > 5_000
    if suffix == "svg":
        text = output.read_text()
        for words in ("cart (2 runs)", "pong (2 runs)", "environment steps", "training time [s]", "return"):
            assert f"<!-- {words} -->" in text


@needs_matplotlib
def test_a_name_is_shown_as_it_is_whatever_is_in_it(tmp_path, capsys):
    a_run(tmp_path, "_first", lines=[line(100), line(200, 9.0)])
    a_run(tmp_path, "a$b$c^", gamma=0.5, lines=[line(100), line(200, 2.0)])
    a_run(tmp_path, "huge", gamma=0.7, lines=[line(100), line(150, 10**400), line(200, 3.0)])
    output = tmp_path / "curves.svg"
    assert plot.main([str(tmp_path), "-o", str(output)]) == 0
    text = output.read_text()
    for name in (" _first", "a$b$c^", "huge"):
        assert f"<!-- {name} -->" in text


@needs_matplotlib
def test_one_report_is_a_dot_and_runs_without_common_steps_have_no_value(tmp_path, monkeypatch, capsys):
    from matplotlib.figure import Figure

    a_run(tmp_path, "late_1", seed=1, lines=[line(300, 7.0)])
    a_run(tmp_path, "late_2", seed=2, lines=[line(100, 2.0), line(200, 3.0)])
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, dpi: figures.append(figure))
    assert plot.main([str(tmp_path), "-o", str(tmp_path / "curves.png")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["late", "CartPole-v1", "2", "300", "–", "–"]
    for panel in figures[0].axes:
        visible = {len(curve.get_xdata()): curve.get_marker() for curve in panel.get_lines()}
        assert visible == {1: "o", 2: "None"}  # a line through one point is nothing that could be seen


@needs_matplotlib
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--metric=rewrd_mean"], "did you mean reward_mean"),
        (["--metric=zzz"], "there are env_steps, fps, reward_mean, seconds"),
        (["--group-by=the moon"], "group by config"),
        (["-o", "nowhere/curves.png"], "there is no folder nowhere"),
        (["-o", "curves.tiger"], "cannot be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(tmp_path, monkeypatch, capsys, flags, said):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path, "run", lines=[line(100)])
    assert plot.main(["run", *flags]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
