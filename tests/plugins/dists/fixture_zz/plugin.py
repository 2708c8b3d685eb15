"""Imports what is not installed; its metadata also wants a newer core."""

import not_installed_lib  # noqa: F401
