"""Collect what the loaded plugins offer: hook implementations in, checked and stamped specs out.

Each implementation is called for itself and its iterable is used up right there, so that an error, however late, costs
that implementation's offers and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sf_core.plugins.discovery import CORE, LOADED, PluginRecord
from sf_core.plugins.loading import fail, is_wrapper, quiet_stdout
from sf_core.plugins.requests import did_you_mean
from sf_core.plugins.specs import SPEC_OF_KIND, Arg, Preset, Spec

HOOK_OF_KIND: dict[str, str] = {
    "env": "sf_environments",
    "encoder": "sf_encoders",
    "core": "sf_cores",
    "decoder": "sf_decoders",
    "actor_critic": "sf_actor_critics",
    "wrapper": "sf_wrappers",
    "observer": "sf_observers",
    "preset": "sf_presets",
}

Component = Spec | Preset


class Collector:
    """Calls collecting hooks, isolated per implementation."""

    def __init__(self, plugin_manager: Any, strict: bool) -> None:
        self._hooks = plugin_manager.hook
        self._strict = strict
        self._trace = os.environ.get("SF_TRACE_PLUGINS", "") not in ("", "0")

    def components(self, kind: str, records: Sequence[PluginRecord]) -> list[Any]:
        """The specs of `kind` that `records` offer, in the order of the records."""
        spec_class: type[Any] = Preset if kind == "preset" else SPEC_OF_KIND[kind]
        found: list[Any] = []
        for record in records:
            items = self._items(HOOK_OF_KIND[kind], record)
            if items is None:
                continue
            try:
                stamped = [_checked(item, spec_class, record) for item in items]
            except Exception as error:
                fail(record, "degraded", error, f"{HOOK_OF_KIND[kind]}(): ", self._strict)
                continue
            found += self._without_duplicates(kind, stamped, record)
        return found

    def arguments(self, record: PluginRecord) -> list[Arg]:
        """The plugin-global flags that `record` offers; one bad flag costs all of them."""
        items = self._items("sf_arguments", record) or []
        prefix = f"--{record.original_name or record.name}_"
        for item in items:
            error = None
            if not isinstance(item, Arg):
                error = TypeError(f"yielded {item!r}, which is not an Arg")
            elif not item.flag.startswith(prefix):
                error = TypeError(f"{item.flag} does not begin with {prefix}, as flags of a whole plugin must")
            if error is not None:
                fail(record, "degraded", error, "sf_arguments(): ", self._strict)
                return []
        return items

    def call(self, hook: str, record: PluginRecord, arguments: Mapping[str, Any]) -> list[Any]:
        """The results of one plugin's implementations of `hook`; errors pass through."""
        results = []
        for impl in getattr(self._hooks, hook).get_hookimpls():
            if impl.plugin_name != record.name or is_wrapper(impl):
                continue
            with quiet_stdout():
                result = impl.function(*[arguments[name] for name in impl.argnames])
                if result is not None and not isinstance(result, (str, Sequence)) and isinstance(result, Iterable):
                    result = list(result)  # here, inside the caller's try: a generator fails late
            if self._trace:
                print(f"trace: {record.name}.{hook}({', '.join(impl.argnames)}) -> {result!r}", file=sys.stderr)
            results.append(result)
        return results

    def _items(self, hook: str, record: PluginRecord) -> list[Any] | None:
        if record.status not in LOADED or hook not in record.hooks:
            return None
        try:
            (result,) = self.call(hook, record, {})
            if isinstance(result, str) or not isinstance(result, Sequence):
                raise TypeError(f"gave {result!r}, which is not a list; return one, or yield")
        except (Exception, SystemExit) as error:
            fail(record, "degraded", _with_field_hint(error), f"{hook}(): ", self._strict)
            return None
        return list(result)

    def _without_duplicates(self, kind: str, specs: list[Component], record: PluginRecord) -> list[Component]:
        names = [spec.name for spec in specs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            error = ValueError(f"{kind} offered more than once: {', '.join(twice)}; none of these can be used")
            fail(record, "degraded", error, f"{HOOK_OF_KIND[kind]}(): ", self._strict)
        return [spec for spec in specs if spec.name not in twice]


def _checked(item: Any, spec_class: type[Any], record: PluginRecord) -> Any:
    if not isinstance(item, spec_class):
        raise TypeError(f"yielded {item!r}, which is not of type {spec_class.__name__}")
    if record.name != CORE and item.name == "auto":
        raise ValueError("the name 'auto' is the core's: every run that chooses nothing uses it")
    for name in ("factory", "vector_factory", "worker_init", "accepts"):
        value = getattr(item, name, None)
        if value is not None and not isinstance(value, str):
            raise TypeError(f'{item.name}: {name} must be a string "package.module:name", so that nothing is imported')
    return replace(item, plugin=record.name)


def _with_field_hint(error: BaseException) -> BaseException:
    """Add the close names to `EnvSpec.__init__() got an unexpected keyword argument 'sumary'`."""
    marker = "got an unexpected keyword argument '"
    text = str(error)
    if not isinstance(error, TypeError) or marker not in text:
        return error
    class_name = text.partition(".__init__")[0].rpartition(" ")[2]
    classes = {cls.__name__: cls for cls in (*SPEC_OF_KIND.values(), Preset, Arg)}
    if class_name not in classes:
        return error
    word = text.partition(marker)[2].partition("'")[0]  # Python 3.13 and later go on with a guess of their own
    known = list(classes[class_name].__dataclass_fields__)  # type: ignore[attr-defined]
    hinted = TypeError(f"{class_name} has no field {word!r}{did_you_mean(word, known, most=1)}")
    return hinted.with_traceback(error.__traceback__)
