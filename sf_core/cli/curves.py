"""Learning curves from the metrics of runs: one per run, runs of one kind together, mean and band over them.

In: runs. Out: arrays. Knows nothing of pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sf_core.cfg.options import OPTION_GROUPS
from sf_core.cli.runs import Run
from sf_core.cli.tables import is_number

_NUM_POINTS = 200  # of the common grid
_CONFIDENCE = 0.95
_RESAMPLES = 2000
_MOST_IN_A_LABEL = 3  # options

# What does not change what a policy learns, but for chance and for how long.
_OF_THE_COMMAND = frozenset(
    option.name
    for group in OPTION_GROUPS
    for option in group.options
    if option.per_command or group.name in ("stopping", "reporting", "checkpoints", "evaluation", "wandb")
) | {"seed", "experiment", "train_dir", "device", "torch_threads", "restart_behavior", "observers"}

_SEED_IN_NAME = re.compile(r"[_\-./](?:seed|s)[_\-.]?\d+$|seed[_\-.]?\d+$|[_\-./]\d+$", re.IGNORECASE)


@dataclass(frozen=True)
class Curve:
    """One metric of one run over the course of its training.

    Attributes:
        run: its name.
        env_steps: `[N]` float64, ascending.
        seconds: `[N]` float64, training time.
        value: `[N]` float64, all finite.
    """

    run: str
    env_steps: np.ndarray
    seconds: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Group:
    """Runs that differ by chance alone, or that were asked for together; `label` tells them from other groups."""

    label: str
    env: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Band:
    """Mean over the runs of a group, and where it would be expected again.

    Attributes:
        x: `[G]`, from where the last of the runs begins to where the first of them ends; may be one number.
        mean, low, high: `[G]`.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curve_of(run: Run, metric: str) -> Curve | None:
    """The course of `metric`; None where the run has not one number of it.

    Where a run went back to a checkpoint, what it had done after that is left out.
    """
    points: list[tuple[float, float, float]] = []
    at = "eval.env_steps" if metric.startswith("eval.") else "env_steps"  # those behind the checkpoint
    for line in run.metrics():
        flat = _flat(line)
        steps, seconds, value = (_number(flat.get(key)) for key in (at, "seconds", metric))
        if steps is None or seconds is None:
            continue
        while points and points[-1][0] > steps:
            points.pop()
        if points and points[-1][0] == steps:  # two reports of one moment, and perhaps only the first one has a value
            if value is None:
                continue
            points.pop()
        points.append((steps, seconds, np.nan if value is None else value))
    table = np.array([point for point in points if np.isfinite(point[2])], np.float64).reshape(-1, 3)
    return Curve(run.name, *table.T) if len(table) else None


def metrics_of(runs: Sequence[Run]) -> list[str]:
    """Names of all metrics that hold numbers, without those of histograms."""
    names = {name for run in runs for name, value in _flat(run.last_metrics()).items() if _number(value) is not None}
    return sorted(name for name in names if ".histogram." not in name)


def grouped(runs: Sequence[Run], curves: Mapping[str, Curve], by: str) -> list[Group]:
    """The curves in groups.

    Args:
        runs: all of them.
        curves: run name -> curve; runs without one are left out.
        by: `config` (everything asked for is equal but seed, place and budget), `experiment` (the name without a
            number at its end is equal), `run` (each alone), or names of options, separated by commas.
    """
    members: dict[str, list[Run]] = {}
    for run in runs:
        if run.name in curves:
            members.setdefault(_key(run, by), []).append(run)
    labels = _labels(members, by)
    return [
        Group(labels[key], _env(group[0]), tuple(curves[run.name] for run in group)) for key, group in members.items()
    ]


def band_of(curves: Sequence[Curve], axis: str) -> Band | None:
    """Mean of two or more curves over `axis` (`env_steps` or `seconds`), where all of them have values.

    The band is the 95 % percentile bootstrap interval of the mean over runs (Efron 1979; for such curves Agarwal et al.
    2021, section 4): 2000 times as many runs as there are, drawn with replacement, the same draws at every point.

    Returns:
        None for one curve, or where the curves have no x in common.
    """
    begin = max(getattr(curve, axis)[0] for curve in curves)
    end = min(getattr(curve, axis)[-1] for curve in curves)
    if len(curves) < 2 or end < begin:
        return None
    x = np.linspace(begin, end, _NUM_POINTS if end > begin else 1)
    values = np.stack([np.interp(x, getattr(curve, axis), curve.value) for curve in curves])  # [R, G]
    return Band(x, values.mean(0), *bootstrap_interval(values))


def bootstrap_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends `[G]` of the 95 % percentile bootstrap interval of the mean over the rows of `values` `[R, G]`."""
    num_runs = len(values)
    draws = np.random.default_rng(0).integers(num_runs, size=(_RESAMPLES, num_runs))  # the same picture every time
    weights = np.stack([(draws == run).sum(1) for run in range(num_runs)], 1) / num_runs  # [D, R]
    means = weights @ values
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(means, (tail, 100 - tail), axis=0)
    return low, high


def _key(run: Run, by: str) -> str:
    if by == "run":
        return run.name
    if by == "experiment":
        return _without_seed(run.name)
    asked = _asked(run)
    if by == "config":
        return json.dumps({name: value for name, value in asked.items() if name not in _OF_THE_COMMAND}, default=str)
    return _values(asked, by.split(","))


def _labels(members: Mapping[str, Sequence[Run]], by: str) -> dict[str, str]:
    """What to call each group: what it was asked to be grouped by, else what tells it from others on the same env."""
    if by != "config":
        return {key: key for key in members}
    by_env: dict[str, list[str]] = {}
    for key, group in members.items():
        by_env.setdefault(_env(group[0]), []).append(key)
    return {
        key: label
        for keys in by_env.values()
        for key, label in zip(keys, _distinct([members[key] for key in keys]), strict=True)
    }


def _distinct(groups: Sequence[Sequence[Run]]) -> list[str]:
    """The name that the runs of a group share, if it is of no other group; else the options that differ."""
    names = [sorted({_without_seed(run.name) for run in group}) for group in groups]
    joined = [" + ".join(own) for own in names]
    if all(len(own) == 1 for own in names) and len(set(joined)) == len(groups):
        return joined
    asked = [_asked(group[0]) for group in groups]
    differing = _differing(asked)
    return [_values(values, differing) for values in asked] if 0 < len(differing) <= _MOST_IN_A_LABEL else joined


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    names: Collection[str] = dict.fromkeys(name for config in configs for name in config)
    return [
        name
        for name in sorted(names)
        if name not in _OF_THE_COMMAND and len({_word(config.get(name)) for config in configs}) > 1
    ]


def _asked(run: Run) -> dict[str, Any]:
    """The configuration as it was asked for: `auto` where a number was found by the program."""
    config = run.config
    return {**dict(config), **{name: value for name, (value, _) in config.requested.items()}}


def _env(run: Run) -> str:
    return str(run.config.get("env") or "unknown environment")


def _without_seed(name: str) -> str:
    return _SEED_IN_NAME.sub("", name) or name


def _values(asked: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={_word(asked.get(name))}" for name in names)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(line: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    """`{"eval": {"extra_stats": {"kills": 1}}}` as `{"eval.extra_stats.kills": 1}`; a report is no deeper."""
    flat: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, Mapping) and depth > 1:
            flat |= {f"{name}.{inner}": inside for inner, inside in _flat(value, depth - 1).items()}
        else:
            flat[name] = value
    return flat


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
