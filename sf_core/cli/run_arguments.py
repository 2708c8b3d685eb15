"""What commands that work on a finished run have in common: which run, and which of its checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from sf_core.cfg.resume import saved_values
from sf_core.utils.errors import UsageError


def add_place(parser: argparse.ArgumentParser, experiment: str | None) -> None:
    """Flags that name a run, called as everywhere else; `experiment` is the default."""
    add = parser.add_argument
    add("--experiment", default=experiment, metavar="NAME", help=f"name of the run; {experiment or 'NAME'}")
    add("--train_dir", default="./train_dir", metavar="DIR", help="the folder that holds all runs; ./train_dir")
    add("-v", "--verbose", action="store_true", help="show tracebacks")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Flags that choose one of its checkpoints."""
    add = parser.add_argument
    add("--checkpoint", metavar="NAME", help="the checkpoint, by the name of its folder or a path")
    add("--load_checkpoint_kind", choices=("latest", "best"), default="latest", help="which one otherwise; latest")
    add("--policy_index", type=int, default=0, metavar="N", help="which policy of the run; 0")


def run_folder(options: argparse.Namespace) -> Path:
    """The folder of the run that the command line names.

    Raises:
        UsageError: there is no such run, or its configuration cannot be read.
    """
    saved_values(vars(options), evaluation=True)
    return Path(options.train_dir).expanduser() / str(options.experiment)


def checkpoint_folder(run: Path, options: argparse.Namespace) -> Path:
    """What `--checkpoint` names, or the folder in which `--load_checkpoint_kind` chooses.

    Raises:
        UsageError: there is no checkpoint of that name.
    """
    directory = run / f"checkpoint_p{options.policy_index}"
    if not options.checkpoint:
        return directory
    named = Path(options.checkpoint).expanduser()
    for folder in (directory / named, directory / "milestones" / named, named):
        if folder.is_dir():
            return folder
    raise UsageError(f"there is no checkpoint {options.checkpoint} in {directory}")
