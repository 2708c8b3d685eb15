"""`sf-list`: plugins, the components they offer, and everybody's flags.

Comes in: a command line. Leaves: tables or JSON on stdout. Nothing heavy is imported: a listing costs a look at the
metadata and the plugins' thin modules.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

from sf_core.cli import listing, tables
from sf_core.plugins.manager import Manager, get_manager, prescan
from sf_core.plugins.requests import did_you_mean
from sf_core.utils.errors import UsageError, report_usage_error

FAILED_CHECK = 1


def main(argv: Sequence[str] | None = None) -> int:
    """List; returns 0, also with broken plugins, 1 if `--check` finds any, 2 for a command line that makes no sense."""
    argv = sys.argv[1:] if argv is None else list(argv)
    options = _parser().parse_intermixed_args(argv)
    requests, strict, verbose = prescan(argv)
    try:
        keys = _keys(options.kind)
        manager = get_manager(requests, strict, announce=False)
        found = {key: _select(listing.entries(key, manager, options.env, requests), options, manager) for key in keys}
    except UsageError as error:
        return report_usage_error(error, verbose=verbose)
    try:
        if options.requirements:
            print("\n".join(_pins(manager)))
        elif options.json:
            print(json.dumps({"schema": listing.SCHEMA, **found}, indent=2))
        else:
            for line in _text(found, options, manager):
                print(line)
        sys.stdout.flush()
    except BrokenPipeError:  # `sf-list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED_CHECK if options.check and _failed(manager) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sf-list",
        description="List plugins, the components they offer and their flags.",
        allow_abbrev=False,
    )
    kinds = ", ".join(key.replace("_", "-") for key in listing.KEYS)
    add = parser.add_argument
    add("kind", nargs="?", default="plugins", metavar="KIND", help=f"{kinds} or all; plugins if left out")
    add("pattern", nargs="?", default="", metavar="PATTERN", help="part of a name, or a pattern with * and ?")
    add("--plugin", default="", metavar="NAME", help="only what this plugin offers")
    add("--env", default="", metavar="NAME", help="with args: the flags of a run on this env, with its defaults")
    add("--json", action="store_true", help="machine-readable, schema 1")
    add("--requirements", action="store_true", help="print the installed plugins as pip requirements")
    add("--check", action="store_true", help="exit with 1 if any plugin failed")
    add("-v", "--verbose", action="store_true", help="more columns, and tracebacks of failed plugins on stderr")
    add("-p", "--plugins", action="append", metavar="X", help="load a plugin, a file.py or a module; no:NAME blocks")
    add("--strict_plugins", nargs="?", const="True", metavar="BOOL", help="let the first failing plugin raise")
    return parser


def _keys(kind: str) -> tuple[str, ...]:
    kind = kind.replace("-", "_")
    if kind == "all":
        return listing.KEYS
    if kind not in listing.KEYS:
        known = [key.replace("_", "-") for key in (*listing.KEYS, "all")]
        hint = did_you_mean(kind.replace("_", "-"), known) or f"; there are {', '.join(known)}"
        raise UsageError(f"sf-list does not know {kind!r}{hint}")
    return (kind,)


def _select(found: list[listing.Entry], options: argparse.Namespace, manager: Manager) -> list[listing.Entry]:
    if not options.plugin:
        return listing.matching(found, options.pattern, lambda plugin: True)
    chosen = {record.name for record in manager.plugins() if record.matches(options.plugin)}
    if not chosen:
        hint = did_you_mean(options.plugin, (record.name for record in manager.plugins()))
        raise UsageError(f"--plugin={options.plugin}: no plugin has this name{hint}")
    return listing.matching(found, options.pattern, chosen.__contains__)


def _text(found: dict[str, list[listing.Entry]], options: argparse.Namespace, manager: Manager) -> Iterator[str]:
    for position, (key, entries) in enumerate(found.items()):
        if position:
            yield ""
        if not entries:
            yield f"no {key.replace('_', '-')}{f' match {options.pattern!r}' if options.pattern else ''}"
        elif key == "plugins":
            yield from tables.plugins(entries, options.verbose)
        elif key == "hooks":
            yield from tables.hooks(entries)
        elif key == "args":
            yield from tables.args(entries, options.verbose)
        elif key == "presets":
            yield from tables.presets(entries, options.verbose)
        elif key == "envs" and len(entries) > tables.MANY_ENVS and not options.verbose:
            yield from tables.grouped_envs(entries)
        else:
            title = listing.KIND_OF_KEY[key].upper().replace("_", "-")
            yield from tables.components(title, entries, options.verbose)
    if options.verbose:
        for record in manager.plugins():
            if record.error is not None and record.status != "unavailable":
                print(f"\n{record.described}:", file=sys.stderr)
                traceback.print_exception(record.error)


def _pins(manager: Manager) -> list[str]:
    records = [record for record in manager.survey() if record.distribution and record.status != "blocked"]
    return sorted({f"{record.distribution}=={record.version}" for record in records})


def _failed(manager: Manager) -> bool:
    return any(record.status in ("broken", "degraded", "incompatible") for record in manager.survey())
