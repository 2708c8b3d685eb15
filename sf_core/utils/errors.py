"""The one exception that means "the user can fix this": command lines print its sentence and exit with 2."""

from __future__ import annotations


class UsageError(ValueError):
    """What was asked cannot be done; the message is one sentence that holds the fix."""
