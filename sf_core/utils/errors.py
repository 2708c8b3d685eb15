"""The one exception that means "the user can fix this": command lines print its sentence and exit with 2."""

from __future__ import annotations

import sys
import traceback


class UsageError(ValueError):
    """What was asked cannot be done; the message is one sentence that holds the fix."""


class ComponentFailure(RuntimeError):  # noqa: N818  it is what happened, not an error of ours
    """Code of an environment or of a part of the model raised; the message says whose it is."""


EXIT_FAILURE = 1
"""Exit code of a command in which somebody's code failed."""

EXIT_USAGE = 2
"""Exit code of a command line that cannot be carried out; nothing was started or written."""


def report_usage_error(error: UsageError, *, verbose: bool = False) -> int:
    """Print the sentence on stderr, with `verbose` the traceback before it, and return the exit code 2."""
    if verbose:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {error}", file=sys.stderr)
    return EXIT_USAGE


def report_component_failure(error: ComponentFailure, *, verbose: bool = False) -> int:
    """Print whose code failed on stderr, with `verbose` the traceback before it, and return the exit code 1."""
    if verbose:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {error}{'' if verbose else ' (-v shows the traceback)'}", file=sys.stderr)
    return EXIT_FAILURE
