"""`sf-train`: parse the command line, train, exit with the status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.train import run_rl


def main(argv: Sequence[str] | None = None) -> int:
    """Train from a command line; `argv` without the program's name, default `sys.argv[1:]`. Returns the exit code."""
    parser, _ = parse_sf_args(argv)
    cfg = parse_full_cfg(parser, argv)
    if sys.stderr.isatty():  # until environments and model are there, nothing else would be seen
        print(f"Building {cfg.env} ...", file=sys.stderr)
    return int(run_rl(cfg))
