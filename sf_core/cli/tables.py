"""Plain text tables for `sf-list` and `sf-status`: entries in, lines out."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterator, Sequence
from typing import Any

MANY_ENVS = 40  # above this, names alone in columns, unless asked for more

Entry = dict[str, Any]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> Iterator[str]:
    """Left-aligned columns, but for those whose headers are in `right`; the last one is as long as it likes."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header) - 1)]
    to_side = [str.rjust if title in right else str.ljust for title in header]
    for row in (header, *rows):
        cells = [align(cell, width) for align, cell, width in zip(to_side, row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def is_number(value: Any) -> bool:
    """Whether a value of somebody's JSON is a finite number; there are whole ones that no float can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def printable(line: str) -> str:
    """A line with what a stranger's file may say, and without what a terminal would do because of it."""
    return "".join(character if character.isprintable() else "?" for character in line)


def plugins(entries: Sequence[Entry], verbose: bool) -> Iterator[str]:
    """One line a plugin, then what is wrong with some of them."""
    rows = []
    for entry in entries:
        counts = [f"{n} {_noun(key, n)}" for key, n in entry["provides"].items()]
        package = f"{entry['distribution']} {entry['version']}".strip() or entry["source"]
        row = [entry["name"], package, entry["status"], f"{entry['load_ms']:.0f}ms", ", ".join(counts) or "-"]
        rows.append([*row, entry["entry_point"]] if verbose else row)
    header = ["PLUGIN", "DISTRIBUTION", "STATUS", "LOAD", "PROVIDES"]
    yield from table([*header, "ENTRY POINT"] if verbose else header, rows)
    for entry in entries:
        for problem in entry["problems"]:
            yield f"  ! {entry['name']}: {problem}"


def components(title: str, entries: Sequence[Entry], verbose: bool) -> Iterator[str]:
    """One line a component."""
    header = [title, "PLUGIN", "STATE", *(["FACTORY"] if verbose else []), "SUMMARY"]
    rows = []
    for entry in entries:
        factory = [entry.get("factory", "-")] if verbose else []
        rows.append([entry["name"], entry["plugin"], entry["state"], *factory, entry["summary"]])
    yield from table(header, rows)


def presets(entries: Sequence[Entry], verbose: bool) -> Iterator[str]:
    """One line a preset; with `verbose` its values below."""
    rows = [
        [entry["name"], entry["plugin"], entry["state"], ", ".join(entry["applies_to"]) or "all", entry["summary"]]
        for entry in entries
    ]
    lines = table(["PRESET", "PLUGIN", "STATE", "APPLIES TO", "SUMMARY"], rows)
    yield next(lines)
    for line, entry in zip(lines, entries, strict=True):
        yield line
        if verbose:
            yield from (f"    {name} = {value!r}" for name, value in entry["values"].items())


def grouped_envs(entries: Sequence[Entry]) -> Iterator[str]:
    """Many envs: names in columns, by plugin and state."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        groups.setdefault((entry["plugin"], entry["state"]), []).append(entry["name"])
    width = shutil.get_terminal_size().columns
    for (plugin, state), names in groups.items():
        yield f"{plugin}: {len(names)} {_noun('envs', len(names))}{'' if state == 'ok' else f' ({state})'}"
        cell = max(map(len, names)) + 2
        per_line = max(1, (width - 2) // cell)
        for start in range(0, len(names), per_line):
            yield "  " + "".join(name.ljust(cell) for name in names[start : start + per_line]).rstrip()
    yield "-v shows one line each."


def args(entries: Sequence[Entry], verbose: bool) -> Iterator[str]:
    """Flags with their defaults and where those come from; with `verbose` the help."""
    last = "HELP" if verbose else "OF"
    rows = [
        [
            entry["flag"],
            _value(entry["default"]),
            entry["origin"],
            entry["help"] if verbose else f"{entry['owner']}{_owner_plugin(entry)}",
        ]
        for entry in entries
    ]
    yield from table(["FLAG", "DEFAULT", "ORIGIN", last], rows)


def hooks(entries: Sequence[Entry]) -> Iterator[str]:
    """One line a hook with everybody who implements it."""
    who: dict[str, list[str]] = {}
    for entry in entries:
        who.setdefault(entry["name"], [])
        if entry["plugin"]:
            who[entry["name"]].append(entry["plugin"])
    summaries = {entry["name"]: entry["summary"] for entry in entries}
    yield from table(
        ["HOOK", "PLUGINS", "SUMMARY"],
        [[name, ", ".join(plugins) or "-", summaries[name]] for name, plugins in who.items()],
    )


def _noun(key: str, count: int) -> str:
    text = key.replace("_", "-")
    return text if count != 1 else text.removesuffix("s")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "(empty)"
    return "none" if value is None else str(value) or "''"


def _owner_plugin(entry: Entry) -> str:
    return "" if entry["owner"] in ("core", f"plugin {entry['plugin']}") else f" (plugin {entry['plugin']})"
