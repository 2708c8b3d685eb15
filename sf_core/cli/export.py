"""`sf-export`: a trained policy as one file for onnxruntime or torch, checked against the policy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sf_core.cli.run_arguments import add_checkpoint, add_place, checkpoint_folder, run_folder
from sf_core.utils.errors import ComponentFailure, UsageError, report_usage_error

if TYPE_CHECKING:
    from sf_core.share.export import Exported

_SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
NOT_EXPORTED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Export; returns 0, 1 where the policy cannot be exported or the result is not the policy, 2 for bad usage."""
    options = _parser().parse_args(argv)
    try:
        run = run_folder(options)
        return _export(checkpoint_folder(run, options), run, options)
    except UsageError as error:
        return report_usage_error(error, verbose=options.verbose)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sf-export",
        description="Write a trained policy as one file that needs nothing of sf-core, and check that it acts alike.",
        allow_abbrev=False,
    )
    add_place(parser, experiment="default_experiment")
    add_checkpoint(parser)
    add = parser.add_argument
    add("--format", choices=tuple(_SUFFIX), required=True, help="onnx: for onnxruntime; torch: a .pt2 of torch.export")
    add("--output", metavar="FILE", help="the file to write; policy.onnx or policy.pt2 in the folder of the run")
    add("--overwrite", action="store_true", help="replace the file if it is there")
    add("--tolerance", type=float, default=1e-4, metavar="X", help="largest difference from the policy; 0.0001")
    add("-p", "--plugins", action="append", metavar="X", help="load a plugin, a file.py or a module")
    return parser


def _export(source: Path, run: Path, options: argparse.Namespace) -> int:
    from sf_core.share.export import export  # brings torch, which --help does without
    from sf_core.share.formats import ExportError

    try:
        exported = export(
            source,
            options.format,
            Path(options.output).expanduser() if options.output else run / f"policy{_SUFFIX[options.format]}",
            checkpoint_kind=options.load_checkpoint_kind,
            plugins=options.plugins or (),
            tolerance=options.tolerance,
            overwrite=options.overwrite,
        )
    except (ExportError, ComponentFailure) as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_EXPORTED
    _report(exported, options.tolerance)
    return 0


def _report(exported: Exported, tolerance: float) -> None:
    size_kb = exported.path.stat().st_size / 1000
    print(f"Wrote {exported.path} ({size_kb:.0f} kB) from {exported.checkpoint.name}, and {exported.description.name}")
    for name, difference in exported.parity.difference.items():
        print(f"  {name:<16} differs by at most {difference:.1e}")
    print(
        f"Largest difference from the policy on {exported.parity.num_inputs} random inputs: "
        f"{exported.parity.largest:.1e} (tolerance {tolerance:g})"
    )
