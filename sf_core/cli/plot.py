"""`sf-plot`: learning curves of runs as a picture.

Comes in: a command line. Leaves: a picture in a file, and its last numbers as a table on stdout.
"""

from __future__ import annotations

import argparse
import difflib
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sf_core.cfg.options import core_options
from sf_core.cli import tables
from sf_core.cli.runs import Run, find_runs
from sf_core.plugins.availability import is_installed
from sf_core.utils.errors import UsageError, report_usage_error
from sf_core.utils.readable import UNKNOWN, number

if TYPE_CHECKING:
    from sf_core.cli.curves import Group

_GROUPINGS = "config, experiment, run, or options such as env,learning_rate"
_LABELS = {"reward_mean": "return", "episode_length_mean": "episode length", "fps": "env steps per second"}


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; returns 0, or 2 where there is nothing to draw, or nothing to draw with."""
    options = _parser().parse_args(argv)
    try:
        if not is_installed("matplotlib"):
            raise UsageError('sf-plot needs matplotlib: pip install "sf-core[plot]"')
        return _draw(options)
    except UsageError as error:
        return report_usage_error(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sf-plot",
        description="Draw a metric of runs over environment steps and over training time.",
        epilog="Runs that differ in their seed alone are drawn together: their mean, the 95 %% bootstrap interval of "
        "the mean as a band, and each run as a thin line. A mean ends where the first of its runs ends.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("folders", nargs="+", metavar="DIR", help="a folder of runs, or a run")
    add("-o", "--output", default="curves.png", metavar="FILE", help="the picture, .png, .svg or .pdf; curves.png")
    add("--metric", default="reward_mean", metavar="NAME", help="a key of metrics.jsonl (policy_lag.mean); reward_mean")
    add("--group-by", "--group_by", default="config", metavar="WHAT", help=f"{_GROUPINGS}; config")
    add("--x", default="both", choices=("steps", "time", "both"), help="what to draw over; both")
    add("--title", default="", metavar="TEXT", help="above the picture")
    return parser


def _draw(options: argparse.Namespace) -> int:
    runs = find_runs(options.folders)
    output = Path(options.output).expanduser()
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} for {output.name}; make it first.")
    metric = options.metric.removeprefix("train/")
    _check_grouping(options.group_by)

    from sf_core.cli.curves import curve_of, grouped, metrics_of
    from sf_core.cli.figure import draw

    curves = {run.name: curve for run in runs if (curve := curve_of(run, metric)) is not None}
    if not curves:
        raise _no_such_metric(metric, metrics_of(runs), runs)
    for run in runs:
        if run.name not in curves:
            print(f"{run.name} has no {metric} yet and is left out", file=sys.stderr)
    groups = sorted(grouped(runs, curves, options.group_by), key=lambda group: (group.env, group.label))
    try:
        draw(groups, output, axes=options.x, value_label=_LABELS.get(metric, metric), title=options.title)
    except ValueError as error:
        raise UsageError(f"{output.name} cannot be drawn ({error}); try -o curves.png.") from error
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror}).") from error
    for line in _last_values(groups, metric):
        print(tables.printable(line))
    print(f"{len(curves)} run{'s' if len(curves) > 1 else ''} in {output}")
    return 0


def _check_grouping(by: str) -> None:
    if by in ("config", "experiment", "run"):
        return
    for name in by.split(","):
        if name not in core_options() and not name.isidentifier():
            raise UsageError(f"--group-by={by}: group by {_GROUPINGS}.")


def _no_such_metric(metric: str, known: Sequence[str], runs: Sequence[Run]) -> UsageError:
    if metric in known or not known:
        return UsageError(f"none of the {len(runs)} runs has a {metric} yet; an episode must end first.")
    close = difflib.get_close_matches(metric, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}."
    return UsageError(f"no run has a metric {metric}; {hint}")


def _last_values(groups: Sequence[Group], metric: str) -> Iterator[str]:
    from sf_core.cli.curves import band_of

    rows = []
    for group in groups:
        band = band_of(group.curves, "env_steps")
        if band is None:
            curve = max(group.curves, key=lambda curve: curve.env_steps[-1])
            alone = len(group.curves) == 1  # of runs that have no steps in common there is no mean
            steps, mean, interval = curve.env_steps[-1], curve.value[-1] if alone else math.nan, UNKNOWN
        else:
            steps, mean = band.x[-1], band.mean[-1]
            interval = f"{number(float(band.low[-1]))} to {number(float(band.high[-1]))}"
        rows.append((group.label, group.env, str(len(group.curves)), f"{int(steps):,}", number(float(mean)), interval))
    value = metric.upper()
    yield from tables.table(("GROUP", "ENV", "RUNS", "STEPS", value, "95 % INTERVAL"), rows, ("RUNS", "STEPS", value))
