"""Which plugins are installed: package metadata in, records out. Nothing of a plugin is imported here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

GROUP = "sf_core.plugins"
CORE = "core"
CORE_MODULE = "sf_core.plugins.builtin"
RESERVED = (CORE, "script")

LOADED = ("ok", "degraded")  # statuses in which a plugin takes part
FAILED = ("broken", "unavailable", "incompatible", "blocked")


@dataclass
class PluginRecord:
    """One plugin and what became of it.

    Attributes:
        name: what users type; `name@distribution` where two distributions chose one name.
        source: "builtin", "entry point", "file", "module" or "script".
        status: "found" (not loaded yet), then "ok", "degraded" (some of its hooks failed), "broken", "unavailable" (it
            says it cannot work here), "incompatible" (other plugin API) or "blocked".
        problems: sentences for people.
        explicit: the user named this code for this run, so its components win over installed ones of the same name.
        required: named with `-p`; takes part in `sf_configure` and must load.
    """

    name: str
    entry_point: str
    distribution: str = ""
    version: str = ""
    source: str = "entry point"
    status: str = "found"
    problems: list[str] = field(default_factory=list)
    hooks: tuple[str, ...] = ()
    load_ms: float = 0.0
    explicit: bool = False
    required: bool = False
    error: BaseException | None = None
    original_name: str = ""
    load: Callable[[], Any] = field(default=lambda: None, repr=False)
    core_requirements: Callable[[], list[str]] = field(default=list, repr=False)

    def matches(self, word: str) -> bool:
        """Whether a user's `word` means this plugin: its name, its distribution or its module."""
        module = self.entry_point.partition(":")[0]
        names = (self.name, self.original_name, self.distribution, module)
        return normalise(word) in {normalise(name) for name in names if name}

    @property
    def package(self) -> str:
        """`distribution version`, as far as there is one."""
        return " ".join(part for part in (self.distribution, self.version) if part)

    @property
    def described(self) -> str:
        """The plugin with its package, for messages."""
        return f"plugin {self.name} ({self.package})" if self.package else f"plugin {self.name}"


def normalise(name: str) -> str:
    """One spelling for `my-env`, `my_env`, `My.Env`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def core_record() -> PluginRecord:
    """The core's own components; they need no installed metadata."""
    from importlib import import_module

    from sf_core import __version__

    return PluginRecord(
        name=CORE,
        entry_point=CORE_MODULE,
        distribution="sf-core",
        version=__version__,
        source="builtin",
        original_name=CORE,
        load=lambda: import_module(CORE_MODULE),
    )


def scan() -> list[PluginRecord]:
    """Every installed plugin, sorted by distribution and name whatever order the file system has; read once per run.

    Two distributions with one entry-point name are both kept, as `name@distribution`.
    """
    from importlib_metadata import entry_points

    records = []
    for entry_point in entry_points(group=GROUP):
        dist = entry_point.dist
        if entry_point.value == CORE_MODULE:
            continue  # our own metadata; `core_record` stands for it
        records.append(
            PluginRecord(
                name=entry_point.name,
                original_name=entry_point.name,
                entry_point=entry_point.value,
                distribution=dist.metadata["Name"] if dist is not None else "",
                version=dist.version if dist is not None else "",
                load=entry_point.load,
                core_requirements=partial(_core_requirements, dist),
            )
        )
    records.sort(key=lambda record: (normalise(record.distribution), record.name))
    _rename_duplicates(records)
    return records


def _rename_duplicates(records: list[PluginRecord]) -> None:
    owners: dict[str, list[PluginRecord]] = {}
    for record in records:
        owners.setdefault(record.name, []).append(record)
    for name, same in owners.items():
        if len(same) == 1 and name not in RESERVED:
            continue
        for record in same:
            others = [other.distribution for other in same if other is not record] or ["sf-core"]
            record.name = f"{name}@{record.distribution}"
            record.problems.append(f"the name {name!r} is also used by {', '.join(others)}; here it is {record.name}")


def _core_requirements(dist: Any) -> list[str]:
    """What a distribution demands of sf-core, `[">=0.5", ...]`; read only when something failed."""
    demands = []
    for requirement in dist.requires or ():
        match = re.match(r"\s*sf[-_.]core\s*(?:\[[^]]*\])?\s*\(?([^;)]*)", requirement, re.IGNORECASE)
        if match:
            demands.append(match.group(1).strip())
    return demands
