"""What an evaluation leaves behind: a table in the terminal, files with every episode.

In: a `Measured`, paths. Out: text, CSV, JSON. Nothing that exists is overwritten.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sf_core.cfg.config import Config
from sf_core.runner.files.run_folder import finite
from sf_core.utils.errors import UsageError
from sf_core.utils.readable import with_error

if TYPE_CHECKING:
    from sf_core.eval.measure import Measured


def output_paths(cfg: Config) -> list[Path]:
    """The files asked for (`--output`, `--csv_folder_name`), before anything is played.

    Raises:
        UsageError: one exists, has another ending than .csv and .json, or its folder cannot be written.
    """
    paths = [Path(name).expanduser() for name in dict.fromkeys(cfg.output)]
    for path in paths:
        if path.suffix not in (".csv", ".json"):
            raise UsageError(f"--output={path} ends neither in .csv nor in .json; name it {path}.csv or {path}.json.")
        if not path.parent.is_dir():
            raise UsageError(f"--output={path}: there is no folder {path.parent}; make it first.")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"--output={path}: {path.parent} cannot be written to; name another folder.")
    if cfg.csv_folder_name:
        run = Path(cfg.train_dir).expanduser() / str(cfg.experiment)
        paths.append(run / cfg.csv_folder_name / f"eval_p{cfg.policy_index}.csv")
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} exists already and is not overwritten; name another file, or delete it.")
    return paths


def write_outputs(paths: Sequence[Path], measured: Measured) -> None:
    """Write the result to each of the files; the ending decides the format.

    Raises:
        UsageError: one cannot be written, which shows only now.
    """
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="") as file:
                _write(file, path.suffix, measured)
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror}); the statistics are above.") from error


def _write(file: TextIO, suffix: str, measured: Measured) -> None:
    if suffix == ".csv":
        rows = measured.rows()
        columns = dict.fromkeys(name for row in rows for name in row)  # in the order they appear
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
    else:
        result = {**measured.result(), "all_episodes": measured.rows()}
        json.dump(finite(result), file, indent=1, allow_nan=False)
        file.write("\n")


def print_table(result: dict[str, Any], cfg: Config) -> None:
    """The result for people."""
    from rich.console import Console
    from rich.table import Table

    actions = "greedy" if result["deterministic"] else "sampled"
    table = Table(title=f"{cfg.env} · {cfg.experiment} · {result['checkpoint']}", title_justify="left")
    table.add_column(f"{actions} actions")
    for column in ("mean return", "std", "min", "max", "mean length"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = [(f"{result['episodes']} episodes", result)]
    rows += [(f"agent {agent['agent']}", agent) for agent in result.get("agents", ())]
    for name, row in rows:
        mean = with_error(row["reward_mean"], row["reward_sem"], 2)
        spread = (f"{row[f'reward_{key}']:.2f}" for key in ("std", "min", "max"))
        table.add_row(name, mean, *spread, f"{row['length_mean']:.1f}")
    console = Console()
    console.print(table)
    for name, mean in result["extra_stats"].items():
        console.print(f"mean {name}: {mean:.3f}", highlight=False)
    workers = f", {result['num_workers']} workers" if result["num_workers"] else ""
    console.print(
        f"{result['num_envs']} environments{workers}, {result['seconds']:.1f} s", style="dim", highlight=False
    )
