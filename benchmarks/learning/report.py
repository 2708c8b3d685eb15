"""Curves as a table and as two pictures, against steps and against wall-clock."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from contenders import Curve
from tasks import TASKS

Curves = dict[str, dict[str, list[Curve]]]
"""task -> contender -> one curve per seed"""


def last_return(curve: Curve) -> float:
    """Mean return of the last 100 episodes of training."""
    return curve[-1][2]


def failures(curves: Curves) -> list[str]:
    """Sentences on tasks that we did not learn: the mean of the seeds is below the target."""
    return [
        f"{task}, {contender}: {mean:.2f} where {TASKS[task].target:g} was expected"
        for task, contenders in curves.items()
        for contender, runs in contenders.items()
        if contender != "stable-baselines3"
        and (mean := float(np.mean([last_return(run) for run in runs]))) < TASKS[task].target
    ]


def write(curves: Curves, folder: Path, command: str, num_seeds: int) -> None:
    """`learning.json`, `learning.md` and the two pictures, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learning.json").write_text(json.dumps(curves))
    _plot(curves, folder / "learning_steps.png", axis=0, label="agent steps")
    _plot(curves, folder / "learning_seconds.png", axis=1, label="seconds")
    (folder / "learning.md").write_text(_page(curves, command, num_seeds))


def _page(curves: Curves, command: str, num_seeds: int) -> str:
    contenders = list(dict.fromkeys(name for runs in curves.values() for name in runs))
    lines = [
        "# Does it learn?",
        "",
        f"Written by `{command}`: {num_seeds} seeds each, mean and standard deviation of the mean return of",
        "the last 100 training episodes, and the seconds a run took. Everybody has the settings of",
        "[`tasks.py`](../../benchmarks/learning/tasks.py); `serial` and stable-baselines3 compute on one thread,",
        "`sync` and `async` on all cores.",
        "",
        "| task | steps | counts as learned | " + " | ".join(contenders) + " |",
        "|---|---|---|" + "---|" * len(contenders),
    ]
    for task, by_contender in curves.items():
        steps = max(run[-1][0] for runs in by_contender.values() for run in runs)
        cells = [_cell(by_contender.get(name, [])) for name in contenders]
        lines.append(f"| {task} | {steps:,} | {TASKS[task].target:g} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "![return against steps](learning_steps.png)",
        "",
        "![return against seconds](learning_seconds.png)",
        "",
    ]
    return "\n".join(lines)


def _cell(runs: list[Curve]) -> str:
    if not runs:
        return "–"
    returns, seconds = [last_return(run) for run in runs], [run[-1][1] for run in runs]
    return f"{np.mean(returns):.1f} ± {np.std(returns):.1f} ({np.mean(seconds):.0f} s)"


def _plot(curves: Curves, path: Path, axis: int, label: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.5 * columns, 3.2 * rows), squeeze=False)
    for panel in axes.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, (task, by_contender) in zip(axes.flat, curves.items(), strict=False):
        for index, (name, runs) in enumerate(by_contender.items()):
            # all seeds on one grid, as far as the shortest run reaches
            grid = np.linspace(max(run[0][axis] for run in runs), min(run[-1][axis] for run in runs), 100)
            returns = np.array([np.interp(grid, [p[axis] for p in run], [p[2] for p in run]) for run in runs])
            panel.plot(grid, returns.mean(0), label=name, color=f"C{index}")
            panel.fill_between(grid, returns.min(0), returns.max(0), color=f"C{index}", alpha=0.2, linewidth=0)
        panel.set_title(task)
        panel.set_xlabel(label)
        panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
