"""What `sf-list` knows, as plain data: the entries of its JSON, from which its tables are made too.

Comes in: a manager. Leaves: lists of dictionaries that `json.dumps` takes, each with `name` and `plugin`. Only additive
changes are made within a schema number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sf_core.plugins import hookspecs
from sf_core.plugins.availability import unmet
from sf_core.plugins.components import HOOK_OF_KIND
from sf_core.plugins.discovery import LOADED
from sf_core.plugins.manager import Manager
from sf_core.plugins.refs import describe_ref
from sf_core.plugins.resolution import by_name, choose
from sf_core.plugins.specs import Arg, EnvSpec, Preset, Spec

SCHEMA = 1

KIND_OF_KEY = {f"{kind}s": kind for kind in HOOK_OF_KIND}
KEYS = ("plugins", *KIND_OF_KEY, "args", "hooks")

Entry = dict[str, Any]


def entries(key: str, manager: Manager, env: str = "", requests: Sequence[str] = ()) -> list[Entry]:
    """The entries for one key of the JSON; `env` and `requests` (those of `manager`) say whose flags "args" shows."""
    if key == "plugins":
        return plugin_entries(manager)
    if key == "hooks":
        return hook_entries(manager)
    if key == "args":
        return arg_entries_for(env, manager, requests) if env else arg_entries(manager)
    return component_entries(KIND_OF_KEY[key], manager)


def plugin_entries(manager: Manager) -> list[Entry]:
    """Every plugin with its final status."""
    records = manager.survey()
    provides: dict[str, dict[str, int]] = {record.name: {} for record in records}
    for key, kind in KIND_OF_KEY.items():
        for spec in manager.components(kind):
            provides[spec.plugin][key] = provides[spec.plugin].get(key, 0) + 1
    return [
        {
            "name": record.name,
            "plugin": record.name,
            "distribution": record.distribution,
            "version": record.version,
            "source": record.source,
            "status": record.status,
            "entry_point": record.entry_point,
            "hooks": list(record.hooks) if record.status in LOADED else [],
            "provides": provides[record.name],
            "problems": list(record.problems),
            "load_ms": round(record.load_ms, 1),
        }
        for record in records
    ]


def component_entries(kind: str, manager: Manager) -> list[Entry]:
    """Every component of one kind: whether it can run here, and whether its bare name means it."""
    manager.load()
    specs, records = manager.components(kind), manager.by_name()
    outcomes = {name: choose(same, records) for name, same in by_name(specs).items()}
    found = []
    for spec in specs:
        winner = outcomes[spec.name].winner
        conflict = winner is None
        absent = unmet(spec) if isinstance(spec, Spec) else []
        if conflict:
            state = "CONFLICT"
        elif winner is not spec:
            state = f"replaced by {winner.qualified}"
        else:
            state = f"needs {', '.join(absent)}" if absent else "ok"
        found.append({**_fields(spec), "missing": absent, "conflict": conflict, "state": state})
    return found


def hook_entries(manager: Manager) -> list[Entry]:
    """Who implements what: an entry for each hook and plugin; `plugin` is "" for a hook that nobody implements."""
    records = [record for record in manager.survey() if record.status in LOADED]
    found = []
    for name, function in vars(hookspecs).items():
        if not hasattr(function, f"{hookspecs.PROJECT}_spec"):
            continue
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        for plugin in [record.name for record in records if name in record.hooks] or [""]:
            found.append({"name": name, "plugin": plugin, "summary": summary})
    return found


def arg_entries(manager: Manager) -> list[Entry]:
    """Every flag: the core's, those of whole plugins and those of components."""
    from sf_core.cfg.options import core_options

    manager.load()
    found = [
        _arg(option.name, "core", option.default, "default", option.help, "core")
        for option in core_options(False).values()
    ]
    for plugin, args in manager.arguments().items():
        found += [_declared(arg, plugin, f"plugin {plugin}") for arg in args]
    for kind in KIND_OF_KEY.values():
        for spec in manager.components(kind):
            found += [_declared(arg, spec.plugin, f"{kind} {spec.name}") for arg in getattr(spec, "args", ())]
    return found


def arg_entries_for(env: str, manager: Manager, requests: Sequence[str]) -> list[Entry]:
    """The flags of a run on `env`, with the defaults that it would have and where they come from.

    Raises:
        UsageError: there is no such env.
    """
    from sf_core.cfg.layers import merge
    from sf_core.cfg.options import core_options
    from sf_core.cfg.settle import settle

    argv = [f"--env={env}", *(f"-p{request}" for request in requests)]
    settled = settle(argv, evaluation=False, read_saved=False)
    for problem in settled.problems:
        raise problem
    values, origins = merge(settled.layers)
    owners: dict[str, tuple[str, str]] = {}
    for spec in settled.choice.specs:
        for arg in getattr(spec, "args", ()):
            owners.setdefault(arg.name, (spec.plugin, f"{spec.kind} {spec.name}"))
    for plugin, args in manager.arguments().items():
        for arg in args:
            owners.setdefault(arg.name, (plugin, f"plugin {plugin}"))
    found = []
    for name, option in {**core_options(False), **settled.component_options}.items():
        plugin, owner = owners.get(name, ("core", "core"))
        value = env if name == "env" else values.get(name, option.default)
        origin = "cli" if name == "env" else origins.get(name, "default")
        found.append(_arg(name, plugin, value, origin, option.help, owner))
    return found


def matching(found: Sequence[Entry], pattern: str, plugin: Callable[[str], bool]) -> list[Entry]:
    """Those whose name matches `pattern` (a part of it, or with `*?[`) and whose plugin is accepted."""
    from fnmatch import fnmatchcase

    pattern = pattern.lower()
    wildcard = any(character in pattern for character in "*?[")

    def fits(name: str) -> bool:
        name = name.lower()
        return fnmatchcase(name, pattern) if wildcard else pattern in name

    return [e for e in found if plugin(e["plugin"]) and (fits(e["name"]) or fits(f"{e['plugin']}/{e['name']}"))]


def _fields(spec: Spec | Preset) -> Entry:
    entry: Entry = {"name": spec.name, "plugin": spec.plugin, "summary": spec.summary, "replaces": spec.replaces}
    if isinstance(spec, Preset):
        return {**entry, "values": _plain(spec.values), "applies_to": list(spec.applies_to)}
    entry |= {
        "factory": describe_ref(spec.factory),
        "requires": list(spec.requirements),
        "fix": spec.fix,
        "tags": list(spec.tags),
        "defaults": _plain(getattr(spec, "defaults", {})),
        "args": [arg.flag for arg in getattr(spec, "args", ())],
    }
    if isinstance(spec, EnvSpec):
        entry |= {"family": spec.family, "metrics": [metric.name for metric in spec.metrics]}
    return entry


def _declared(arg: Arg, plugin: str, owner: str) -> Entry:
    return _arg(arg.name, plugin, arg.default, "default", arg.help, owner)


def _arg(name: str, plugin: str, default: Any, origin: str, help_text: str, owner: str) -> Entry:
    return {
        "name": name,
        "plugin": plugin,
        "flag": f"--{name}",
        "default": _plain(default),
        "origin": origin,
        "owner": owner,
        "help": help_text,
    }


def _plain(value: Any) -> Any:
    """`value` as JSON has it; what JSON cannot say is shown as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)
