"""What commands that work on a finished run have in common: which run, and which of its checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from sf_core.cfg.resume import saved_values


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that name a run; they are called as everywhere else."""
    add = parser.add_argument
    add("--experiment", default="default_experiment", metavar="NAME", help="name of the run; default_experiment")
    add("--train_dir", default="./train_dir", metavar="DIR", help="the folder that holds all runs; ./train_dir")
    add("--policy_index", type=int, default=0, metavar="N", help="which of its policies; 0")
    add("--load_checkpoint_kind", choices=("latest", "best"), default="latest", help="which checkpoint; latest")
    add("-v", "--verbose", action="store_true", help="show tracebacks")


def run_folder(options: argparse.Namespace) -> Path:
    """The folder of the run that the command line names.

    Raises:
        UsageError: there is no such run.
    """
    saved_values(vars(options), evaluation=True)
    return Path(options.train_dir).expanduser() / str(options.experiment)
