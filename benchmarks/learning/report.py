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


def write(curves: Curves, folder: Path) -> None:
    """`learning.json`, `learning.md`, two pictures, into `folder`; what an earlier call measured stays in them."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "learning.json"
    earlier: Curves = json.loads(data.read_text()) if data.exists() else {}
    curves = {
        task: {**earlier.get(task, {}), **curves.get(task, {})} for task in TASKS if task in curves or task in earlier
    }
    data.write_text(json.dumps(_rounded(curves)))
    _plot(curves, folder / "learning_steps.png", axis=0, label="agent steps")
    _plot(curves, folder / "learning_seconds.png", axis=1, label="seconds")
    (folder / "learning.md").write_text(_page(curves))


def _rounded(curves: Curves) -> Curves:
    """What a picture shows; the file is kept with the sources."""
    return {
        task: {
            name: [[(steps, round(seconds, 1), float(f"{mean:.4g}")) for steps, seconds, mean in run] for run in runs]
            for name, runs in by_contender.items()
        }
        for task, by_contender in curves.items()
    }


def _page(curves: Curves) -> str:
    contenders = list(dict.fromkeys(name for runs in curves.values() for name in runs))
    lines = [
        "# Does it learn?",
        "",
        "Written by `python benchmarks/learning`: mean and standard deviation over the seeds of the mean return of the",
        "last 100 training episodes, and the seconds a run took. Everybody has the settings of",
        "[`tasks.py`](../../benchmarks/learning/tasks.py); `serial` and stable-baselines3 (sb3-contrib for memory and",
        "masks) compute on one thread, as many runs at a time as there are cores; `sync` and `async` use all cores.",
        "",
        "| task | steps | seeds | counts as learned | " + " | ".join(contenders) + " |",
        "|---|---|---|---|" + "---|" * len(contenders),
    ]
    for task, by_contender in curves.items():
        steps = max(run[-1][0] for runs in by_contender.values() for run in runs)
        cells = [_cell(by_contender.get(name, [])) for name in contenders]
        seeds = max(len(runs) for runs in by_contender.values())
        lines.append(f"| {task} | {steps:,} | {seeds} | {TASKS[task].target:g} | " + " | ".join(cells) + " |")
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
    digits = 2 if abs(np.mean(returns)) < 2 else 1
    return f"{np.mean(returns):.{digits}f} ± {np.std(returns):.{digits}f} ({np.mean(seconds):.0f} s)"


def _plot(curves: Curves, path: Path, axis: int, label: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

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
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))  # 100k
        panel.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
