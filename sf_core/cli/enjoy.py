"""`sf-enjoy`: watch a trained policy act, or record it into a video."""

from __future__ import annotations

from collections.abc import Sequence

from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.enjoy import enjoy
from sf_core.utils.errors import ComponentFailure, UsageError, report_component_failure, report_usage_error


def main(argv: Sequence[str] | None = None) -> int:
    """Show or record as a command line says; `argv` without the program's name. Returns the exit code."""
    parser, _ = parse_sf_args(argv, evaluation=True)
    cfg = parse_full_cfg(parser, argv)
    try:
        return int(enjoy(cfg)[0])
    except UsageError as error:
        return report_usage_error(error, verbose=bool(cfg.verbose))
    except ComponentFailure as error:
        return report_component_failure(error, verbose=bool(cfg.verbose))
