"""Which plugins the user wants: `-p` and the `SF_*` variables in, a checked selection of records out.

`-p` decides what is loaded, and what is loaded decides which flags exist, so it is read by hand before argparse.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

from sf_core.plugins.discovery import CORE, PluginRecord
from sf_core.plugins.refs import load_file
from sf_core.utils.errors import UsageError

_FALSE = ("false", "0", "no", "off", "n", "f")


def prescan(argv: Sequence[str] | None = None) -> tuple[tuple[str, ...], bool, bool]:
    """Read `-p X`, `-pX`, `--plugins X`, `--strict_plugins` and `-v` from a command line.

    Returns:
        requests for `get_manager`, whether `--strict_plugins` is on, whether `-v` is on.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    requests: list[str] = []
    strict = verbose = False
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if word == "--":
            break
        if flag in ("-p", "--plugins"):
            requests.append(value if equals else next(words, ""))
        elif word.startswith("-p") and not word.startswith("--"):
            requests.append(word[2:])
        elif flag == "--strict_plugins":
            strict = value.lower() not in _FALSE
        elif flag == "--no_strict_plugins":
            strict = False
        elif flag in ("-v", "--verbose"):
            verbose = value.lower() not in _FALSE
    return tuple(requests), strict, verbose


def select(records: list[PluginRecord], requests: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Mark what is blocked and what is required, and append a record for every file and module asked for.

    Returns:
        warnings about names that no plugin has.

    Raises:
        UsageError: `-p` names what is neither a plugin nor a file nor a module.
    """
    warnings = [*_block_by_environment(records, environ)]
    wishes = [*_words(environ.get("SF_LOAD", "")), *requests]
    for wish in wishes:
        if wish.startswith("no:"):
            warnings += _block(records, wish[3:], f"-p {wish}")
            continue
        matching = [] if _is_file(wish) else [record for record in records if record.matches(wish)]
        for record in matching:
            record.required = True
            if record.status == "blocked":
                record.status = "found"
                record.problems.clear()
        if not matching:
            records.append(_file_record(wish, records) if _is_file(wish) else _module_record(wish, records))
    return warnings


def did_you_mean(word: str, known: Iterable[str], most: int = 3) -> str:
    """`", did you mean 'x' or 'y'?"`, or nothing."""
    close = difflib.get_close_matches(word, sorted(set(known)), n=most, cutoff=0.6)
    return f", did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def _block_by_environment(records: list[PluginRecord], environ: Mapping[str, str]) -> list[str]:
    warnings: list[str] = []
    allowed = environ.get("SF_PLUGINS")
    if allowed is not None:
        words = _words(allowed)
        for record in records:
            if record.name != CORE and not any(record.matches(word) for word in words):
                _mark_blocked(record, f"not in SF_PLUGINS={allowed!r}")
        for word in words:
            if not any(record.matches(word) for record in records):
                warnings.append(f"SF_PLUGINS: no plugin is named {word!r}{_close_names(word, records)}")
    for word in _words(environ.get("SF_DISABLE_PLUGINS", "")):
        warnings += _block(records, word, "SF_DISABLE_PLUGINS")
    return warnings


def _block(records: list[PluginRecord], word: str, source: str) -> list[str]:
    matching = [record for record in records if record.matches(word)]
    if any(record.name == CORE for record in matching):
        return [f"{source}: {CORE!r} holds the built-in components and cannot be blocked"]
    for record in matching:
        _mark_blocked(record, f"by {source}")
    return [] if matching else [f"{source}: no plugin is named {word!r}{_close_names(word, records)}"]


def _mark_blocked(record: PluginRecord, reason: str) -> None:
    record.status, record.required = "blocked", False
    record.problems.append(f"blocked {reason}" if reason.startswith("by ") else f"blocked: {reason}")


def _close_names(word: str, records: Iterable[PluginRecord]) -> str:
    return did_you_mean(word, (name for record in records for name in (record.name, record.distribution) if name))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _is_file(wish: str) -> bool:
    return wish.endswith(".py") or "/" in wish or os.sep in wish


def _file_record(wish: str, records: list[PluginRecord]) -> PluginRecord:
    path = os.path.realpath(os.path.expanduser(wish))
    if not os.path.isfile(path):
        raise UsageError(f"-p {wish}: there is no such file")
    name = os.path.splitext(os.path.basename(path))[0]
    if any(record.name == name for record in records):
        name = f"{name}@{os.path.basename(path)}"
    return PluginRecord(
        name=name,
        original_name=name,
        entry_point=path,
        source="file",
        explicit=True,
        required=True,
        load=lambda: load_file(path),
    )


def _module_record(wish: str, records: list[PluginRecord]) -> PluginRecord:
    if not wish or not all(part.isidentifier() for part in wish.split(".")) or not _findable(wish):
        raise UsageError(
            f"-p {wish}: no plugin, file or module has this name{_close_names(wish, records)} (see: sf-list plugins)"
        )

    def load() -> ModuleType:
        return importlib.import_module(wish)

    name = wish if all(record.name != wish for record in records) else f"{wish}@module"
    return PluginRecord(
        name=name, original_name=name, entry_point=wish, source="module", explicit=True, required=True, load=load
    )


def _findable(module: str) -> bool:
    """Whether the top-level package exists; the current folder is looked at last, as `python -m` would."""
    top = module.partition(".")[0]
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        return True
    folder = os.getcwd()
    if folder in sys.path or not (os.path.exists(f"{top}.py") or os.path.isdir(top)):
        return False
    sys.path.append(folder)
    importlib.invalidate_caches()
    return True
