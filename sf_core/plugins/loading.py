"""Import the chosen plugins, each for itself: the failure of one is recorded and the others go on.

Comes in: records and a plugin manager to register modules with. Leaves: the records' status, problems, hooks and time.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import time
from typing import Any

from sf_core.plugins.discovery import PluginRecord
from sf_core.plugins.plan import describe_error
from sf_core.plugins.requests import did_you_mean
from sf_core.plugins.script import registering_for, script_specs
from sf_core.plugins.specs import PluginUnavailable
from sf_core.plugins.versions import satisfies

PLUGIN_API = (1, 0)  # what a plugin's optional `SF_PLUGIN_API` must agree with in its first number
SLOW_LOAD_MS = 200.0


def load(record: PluginRecord, plugin_manager: Any, strict: bool) -> None:
    """Import and register one plugin; sets `status`, `problems`, `hooks`, `load_ms` and `error` of its record.

    Raises:
        Exception: what the plugin raised, if `strict`.
    """
    started = time.perf_counter()
    try:
        plugin = _import(record)
        if _is_compatible(record, plugin):
            plugin_manager.register(plugin, name=record.name)
            record.status = "ok"
    except PluginUnavailable as reason:
        record.status = "unavailable"
        record.problems.append(str(reason) or "it says that it cannot work here")
        record.error = reason
    except (Exception, SystemExit) as error:
        if plugin_manager.get_plugin(record.name) is not None:  # pluggy before 1.7 leaves a refused plugin registered
            plugin_manager.unregister(name=record.name)
        fail(record, "broken", error, "", strict)
    record.load_ms = (time.perf_counter() - started) * 1000
    if record.status == "ok":
        _check_hooks(record, plugin, plugin_manager)
        if record.load_ms > SLOW_LOAD_MS:
            record.problems.append(f"takes {record.load_ms:.0f} ms to import; import heavy packages inside functions")


def fail(record: PluginRecord, status: str, error: BaseException, where: str, strict: bool) -> None:
    """Record that a plugin failed, with a hint if it was built for another version of the core; raise if `strict`."""
    record.status, record.error = status, error
    record.problems.append(f"{where}{describe_error(error)}{version_hint(record)}")
    if strict:
        if isinstance(error, Exception):
            error.add_note(f"raised by {record.described}; --strict_plugins is on")
            raise error
        raise RuntimeError(f"{record.described}: {record.problems[-1]}") from error


def version_hint(record: PluginRecord) -> str:
    """`" (requires sf-core>=0.5, 0.4.1 is installed)"` if the metadata says so."""
    from sf_core import __version__

    for demand in record.core_requirements():
        if not satisfies(__version__, demand):
            return f" (requires sf-core{demand}, {__version__} is installed)"
    return ""


def quiet_stdout() -> contextlib.redirect_stdout[Any]:
    """What plugin code prints goes to stderr: stdout may be a table or JSON."""
    return contextlib.redirect_stdout(sys.stderr)


def _import(record: PluginRecord) -> Any:
    with quiet_stdout():
        if not record.explicit:
            return record.load()
        before = len(script_specs())
        with registering_for(record.name):
            plugin = record.load()
    registered = len(script_specs()) > before or script_specs((record.name,))
    hooks = [name for name in dir(plugin) if hasattr(getattr(plugin, name), "sf_core_impl")]
    if not registered and not hooks:
        raise ValueError("it registers nothing; use register_env(...), global_model_factory() or @hookimpl functions")
    return plugin


def _is_compatible(record: PluginRecord, plugin: Any) -> bool:
    declared = getattr(plugin, "SF_PLUGIN_API", PLUGIN_API[0])
    if str(declared).partition(".")[0] == str(PLUGIN_API[0]):
        return True
    record.status = "incompatible"
    speaks = ".".join(str(number) for number in PLUGIN_API)
    record.problems.append(f"built for plugin API {declared}, this sf_core speaks {speaks}{version_hint(record)}")
    return False


def is_wrapper(impl: Any) -> bool:
    """Whether a hook implementation wants to run around others, which collecting hooks have no use for."""
    return bool(impl.hookwrapper or getattr(impl, "wrapper", False))


def _check_hooks(record: PluginRecord, plugin: Any, plugin_manager: Any) -> None:
    known = [name for name in vars(plugin_manager.hook) if getattr(plugin_manager.hook, name).has_spec()]
    implemented = set()
    for caller in plugin_manager.get_hookcallers(plugin) or []:
        if not caller.has_spec():
            record.problems.append(f"unknown hook {caller.name!r}{did_you_mean(caller.name, known, most=1)}")
        elif any(is_wrapper(impl) for impl in caller.get_hookimpls() if impl.plugin_name == record.name):
            record.problems.append(f"{caller.name}: hook wrappers are not called")
        else:
            implemented.add(caller.name)
    record.hooks = tuple(sorted(implemented))
    for name in known:
        function = inspect.getattr_static(plugin, name, None)
        if inspect.isfunction(function) and not hasattr(function, "sf_core_impl"):
            record.problems.append(f"{name} is not marked with @hookimpl, so it is not called")
