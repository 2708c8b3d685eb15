"""Who is there and what they offer: records and components, loaded no earlier than needed.

Comes in: the user's requests, installed metadata, an empty pluggy manager. Leaves: loaded plugins, their components,
and sentences about those that failed. This file does not know which component a name means.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

from sf_core.plugins.components import HOOK_OF_KIND, Collector
from sf_core.plugins.discovery import CORE, FAILED, LOADED, PluginRecord, core_record, scan
from sf_core.plugins.loading import load
from sf_core.plugins.requests import select
from sf_core.plugins.script import SCRIPT, script_components, script_specs
from sf_core.plugins.specs import Arg
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log


class Catalogue:
    """Plugins and components; a plugin is imported when somebody asks for it, or for a name that may be anybody's."""

    def __init__(
        self,
        plugin_manager: Any,
        requests: Sequence[str],
        strict: bool,
        *,
        verbose: bool = False,
        announce: bool = True,
        records: Sequence[PluginRecord] | None = None,
    ) -> None:
        """`records` stands for the installed plugins in tests; None means to scan for them."""
        self._pluggy, self._strict, self._verbose, self._announce = plugin_manager, strict, verbose, announce
        self._collector = Collector(plugin_manager, strict)
        self._components: dict[str, list[Any]] = {}
        self._arguments: dict[str, list[Arg]] = {}
        self._announced: set[str] = set()
        self._records = [core_record(), *(scan() if records is None else records)]
        for warning in select(self._records, requests, os.environ):
            log.warning("%s", warning)
        self.load({CORE, *(record.name for record in self._records if record.required)} if not strict else None)

    def load(self, names: set[str] | None = None) -> bool:
        """Load the plugins with these names (None: all) that are not loaded yet; whether there were any.

        Raises:
            UsageError: one that `-p` named failed.
            Exception: what a plugin raised, if strict.
        """
        chosen = [r for r in self._records if r.status == "found" and (names is None or r.name in names)]
        for record in chosen:
            load(record, self._pluggy, self._strict)
        if chosen:
            self._components.clear()
            self._say_failures()
        for record in self._records:
            if record.required and record.status not in (*LOADED, "found"):
                problems = "; ".join(record.problems)
                raise UsageError(f"-p: {record.described} is {record.status}: {problems}") from record.error
        return bool(chosen)

    def plugins(self) -> list[PluginRecord]:
        """Every plugin as far as it is known; status "found" means that nobody has needed it yet."""
        return [*self._records, *self._script_record()]

    def survey(self) -> list[PluginRecord]:
        """Every plugin, loaded and asked for everything it offers, so that its status is final."""
        self.load()
        for kind in HOOK_OF_KIND:
            self.components(kind)
        self.arguments()
        return self.plugins()

    def record(self, plugin: str) -> PluginRecord:
        """The record of one plugin by its exact name (`KeyError`)."""
        return self.by_name()[plugin]

    def by_name(self) -> dict[str, PluginRecord]:
        """Records by exact name."""
        return {record.name: record for record in self.plugins()}

    def components(self, kind: str) -> list[Any]:
        """The specs of one kind ("env", ..., "preset") of the loaded plugins, in the order of the plugins."""
        if kind not in self._components:
            self._components[kind] = self._collector.components(kind, self._records)
            self._say_failures()
        return [*self._components[kind], *(spec for spec in script_specs(self._owners()) if spec.kind == kind)]

    def arguments(self) -> dict[str, list[Arg]]:
        """Plugin-global flags of the loaded plugins: plugin -> its flags."""
        for record in self._records:
            if record.status in LOADED and record.name not in self._arguments:
                self._arguments[record.name] = self._collector.arguments(record)
        self._say_failures()
        return {plugin: args for plugin, args in self._arguments.items() if args}

    def script_components(self) -> dict[str, str]:
        """Model parts that the script or a `-p` file registered: kind -> qualified name."""
        return script_components(self._owners())

    def failed_sentence(self) -> str:
        """`"These plugins were not loaded: zz (broken: ...)."`, or nothing; ends messages about unknown names."""
        self.load()
        failed = [record for record in self._records if record.status in FAILED]
        partly = [record for record in self._records if record.status == "degraded"]
        sentences = []
        if failed:
            sentences.append(f"These plugins were not loaded: {', '.join(map(_with_problems, failed))}.")
        if partly:
            sentences.append(f"These were loaded in part: {', '.join(map(_with_problems, partly))}.")
        return " ".join(sentences)

    def _owners(self) -> tuple[str, ...]:
        return (SCRIPT, *(record.name for record in self._records if record.explicit))

    def _script_record(self) -> Iterable[PluginRecord]:
        if script_specs((SCRIPT,)):
            yield PluginRecord(
                name=SCRIPT, original_name=SCRIPT, entry_point="__main__", source="script", status="ok", explicit=True
            )

    def _say_failures(self) -> None:
        for record in self._records:
            if record.status in ("broken", "incompatible", "degraded") and record.name not in self._announced:
                self._announced.add(record.name)
                if self._announce:
                    log.warning("%s is %s: %s", record.described, record.status, "; ".join(record.problems))
                if self._verbose and record.error is not None:
                    traceback.print_exception(record.error)


def _with_problems(record: PluginRecord) -> str:
    why = "; ".join(record.problems)
    return f"{record.name} ({why if why.startswith(record.status) else f'{record.status}: {why}'})"
