"""`sf-hub push` and `sf-hub pull`: runs to the Hugging Face hub and from it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sf_core.cli.run_arguments import add_place, run_folder
from sf_core.utils.errors import UsageError, report_usage_error

HUB_FAILED = 1
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def main(argv: Sequence[str] | None = None) -> int:
    """Push or pull; returns 0, 1 where the hub did not do it or offers what is not taken, 2 for bad usage."""
    options = _parser().parse_args(argv)
    try:
        if not _REPOSITORY.fullmatch(options.repository):
            raise UsageError(f"{options.repository!r} is no repository; write user/name")
        from sf_core.share.hub import HubError  # what it imports is not needed for --help

        try:
            return int(options.action(options))
        except HubError as error:
            print(f"error: {error}", file=sys.stderr)
            return HUB_FAILED
    except UsageError as error:
        return report_usage_error(error, verbose=options.verbose)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sf-hub",
        description="Send runs to the Hugging Face hub and fetch them: weights and JSON, never code.",
        epilog="The token is that of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(required=True, metavar="{push,pull}")
    push = verbs.add_parser("push", help="send a run", description="Send a run in one commit.", allow_abbrev=False)
    push.set_defaults(action=_push)
    push.add_argument("repository", metavar="USER/NAME", help="made if it is not there; private, unless --public")
    add_place(push, experiment="default_experiment")
    push.add_argument("--public", action="store_true", help="let everybody see it")
    push.add_argument("--evaluation", metavar="FILE", help="its score for the card: what sf-eval --output=FILE wrote")
    push.add_argument("--message", default="", metavar="TEXT", help="of the commit")
    push.add_argument("--dry_run", action="store_true", help="show the files and the card, and send nothing")
    pull = verbs.add_parser("pull", help="fetch a run", description="Fetch a run.", allow_abbrev=False)
    pull.set_defaults(action=_pull)
    pull.add_argument("repository", metavar="USER/NAME")
    add_place(pull, experiment=None)
    pull.add_argument("--revision", metavar="COMMIT", help="a tag, branch or whole commit id; the newest by default")
    return parser


def _push(options: argparse.Namespace) -> int:
    run = run_folder(options)
    from sf_core.share import hub

    evaluation = Path(options.evaluation).expanduser() if options.evaluation else None
    what = hub.prepare_push(run, options.repository, evaluation)
    for file in what.files:
        print(f"  {file.size:>13,}  {file.path}{f' ({file.source})' if file.source not in ('', file.path) else ''}")
    _say_what_names_folders(run)
    if options.dry_run:
        print(f"\n{what.card}\nNothing was sent (--dry_run).")
        return 0
    commit = hub.push(hub.connect(), options.repository, what, public=options.public, message=options.message)
    print(f"Sent {run} to {options.repository} ({'public' if options.public else 'private'}), commit {commit}")
    return 0


def _pull(options: argparse.Namespace) -> int:
    name = options.experiment or options.repository.partition("/")[2]
    if Path(name).name != name or name in ("", ".", ".."):
        raise UsageError(f"--experiment={name} has a folder in it; name the run, and its folder with --train_dir")
    from sf_core.share import hub

    folder = Path(options.train_dir).expanduser() / name
    pulled = hub.pull(hub.connect(), options.repository, folder, options.revision)
    if pulled.left:
        shown = ", ".join(pulled.left[:5]) + (", …" if len(pulled.left) > 5 else "")
        print(f"Left there, since a run has no such files: {shown}")
    print(f"Fetched {len(pulled.files)} files of {options.repository}, commit {pulled.commit}, into {pulled.folder}")
    place = "" if options.train_dir == "./train_dir" else f" --train_dir={options.train_dir}"
    print(f"Look at it: sf-eval --experiment={name}{place}")
    return 0


def _say_what_names_folders(run: Path) -> None:
    from sf_core.cfg.saved import read_config

    named = [
        f"{key}={word}"
        for key, value in read_config(run).items()
        for word in (value if isinstance(value, list) else [value])  # -p names several
        if str(word).startswith(("/", "~"))
    ]
    if named:
        print(f"config.json and checkpoint.json name folders of this machine: {', '.join(named)}")
