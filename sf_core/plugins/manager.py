"""The plugin system behind one object, for the process the user started; children receive a plan instead.

get_manager(requests)  scan metadata, select, load the thin modules, each isolated
Manager.resolve(...)   a name becomes a spec
build_plan(cfg, m)     a configuration becomes what child processes need
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import pluggy

from sf_core.plugins import hookspecs
from sf_core.plugins.attribution import owner_of_flag
from sf_core.plugins.availability import check_available
from sf_core.plugins.components import HOOK_OF_KIND, Collector, PluginArg
from sf_core.plugins.discovery import FAILED, LOADED, PluginRecord, core_record, scan
from sf_core.plugins.loading import load
from sf_core.plugins.plan import RunPlan, describe_error
from sf_core.plugins.planning import build_plan
from sf_core.plugins.requests import owners_only, prescan, select
from sf_core.plugins.resolution import Choice, ComponentError, find, find_env, unknown
from sf_core.plugins.script import SCRIPT, script_components, script_specs
from sf_core.plugins.specs import (
    ActorCriticSpec,
    CoreSpec,
    DecoderSpec,
    EncoderSpec,
    EnvSpec,
    ObserverSpec,
    Preset,
    Spec,
    WrapperSpec,
)
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

__all__ = ["ComponentError", "Manager", "build_plan", "get_manager", "prescan"]

_managers: dict[tuple[Any, ...], Manager] = {}


def get_manager(
    requests: Sequence[str] = (), strict: bool = False, *, verbose: bool = False, announce: bool = True
) -> Manager:
    """The manager for these requests; made once per process, request and environment.

    Args:
        requests: what `-p` held, as `prescan` returns it.
        strict: any failure of a plugin raises, with its traceback.
        verbose: print the tracebacks of failed plugins to stderr.
        announce: log a line for every failed plugin.

    Raises:
        UsageError: a plugin named with `-p` is absent or failed.
        Exception: what a plugin raised, if `strict` or `SF_STRICT_PLUGINS=1`.
    """
    strict = strict or os.environ.get("SF_STRICT_PLUGINS", "") not in ("", "0")
    environment = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("SF_")))
    key = (tuple(requests), strict, environment, tuple(sys.path))
    if key not in _managers:
        _managers[key] = Manager(requests, strict, verbose=verbose, announce=announce)
    return _managers[key]


class Manager:
    """Installed and requested plugins, and the components they offer."""

    def __init__(
        self,
        requests: Sequence[str] = (),
        strict: bool = False,
        *,
        verbose: bool = False,
        announce: bool = True,
        records: Sequence[PluginRecord] | None = None,
    ) -> None:
        self._strict, self._verbose, self._announce = strict, verbose, announce
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._collector = Collector(self._pluggy, strict)
        self._collected: dict[str, list[Any]] = {}
        self._announced: set[str] = set()
        self._records = [core_record(), *(scan() if records is None else records)]
        for warning in select(self._records, requests, os.environ):
            log.warning("%s", warning)
        self._load(owners_only(self._records, requests))

    # -- plugins ------------------------------------------------------------------------------------------------------

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin with its status; loads those that a fully qualified command line left alone."""
        self._load(None)
        for kind in HOOK_OF_KIND:
            self.components(kind)
        return [*self._records, *self._script_record()]

    def failures(self) -> str:
        """`". These plugins were not loaded: zz (broken: ...)"`, or nothing; for the end of "unknown ..." messages."""
        failed = [record for record in self._records if record.status in FAILED]
        partly = [record for record in self._records if record.status == "degraded"]
        text = ""
        if failed:
            text += f". These plugins were not loaded: {', '.join(_with_problem(record) for record in failed)}"
        if partly:
            text += f". These were loaded in part: {', '.join(_with_problem(record) for record in partly)}"
        return text

    # -- components ---------------------------------------------------------------------------------------------------

    def components(self, kind: str) -> list[Any]:
        """The specs of one kind ("env", "encoder", ..., "preset"), in the order of the plugins."""
        if kind not in self._collected:
            self._collected[kind] = self._collector.components(kind, self._records)
            self._say_failures()
        scripts = (SCRIPT, *(record.name for record in self._records if record.explicit))
        return [*self._collected[kind], *(spec for spec in script_specs(scripts) if spec.kind == kind)]

    def envs(self) -> list[EnvSpec]:
        """Environments."""
        return self.components("env")

    def encoders(self) -> list[EncoderSpec]:
        """Encoders."""
        return self.components("encoder")

    def cores(self) -> list[CoreSpec]:
        """Cores."""
        return self.components("core")

    def decoders(self) -> list[DecoderSpec]:
        """Decoders."""
        return self.components("decoder")

    def actor_critics(self) -> list[ActorCriticSpec]:
        """Actor-critics."""
        return self.components("actor_critic")

    def wrappers(self) -> list[WrapperSpec]:
        """Env wrappers."""
        return self.components("wrapper")

    def observers(self) -> list[ObserverSpec]:
        """Training observers."""
        return self.components("observer")

    def presets(self) -> list[Preset]:
        """Presets."""
        return self.components("preset")

    def arguments(self) -> list[PluginArg]:
        """Plugin-global flags, each with the plugin it belongs to."""
        if "arguments" not in self._collected:
            self._collected["arguments"] = self._collector.arguments(self._records)
            self._say_failures()
        return self._collected["arguments"]

    def script_components(self) -> dict[str, str]:
        """Model parts that scripts and `-p` files of this manager chose: kind -> qualified name."""
        return script_components((SCRIPT, *(record.name for record in self._records if record.explicit)))

    # -- names --------------------------------------------------------------------------------------------------------

    def resolve(self, kind: str, name: str, *, prefer: str = "") -> Spec:
        """The component of `kind` ("env", "encoder", ...) that `name` means.

        Args:
            kind: "env", "encoder", "core", "decoder", "actor_critic", "wrapper" or "observer".
            name: bare or qualified; for envs also a member of a family or a Gymnasium id.
            prefer: a plugin whose own component wins over others of the same name; pass an env's plugin for names that
                come from that env's defaults.

        Raises:
            ComponentError: unknown or ambiguous.
        """
        spec: Spec = self.choose(kind, name, prefer=prefer)[0].winner
        return spec

    def resolve_preset(self, name: str, env: str = "") -> Preset:
        """The preset that `name` means, among those that apply to `env` if one is given."""
        import fnmatch

        def applies(preset: Preset) -> bool:
            return not preset.applies_to or any(fnmatch.fnmatchcase(env, pattern) for pattern in preset.applies_to)

        preset: Preset
        same = [preset for preset in self.presets() if name in (preset.name, preset.qualified)]
        fitting = [preset for preset in same if not env or applies(preset)]
        if same and not fitting:
            wanted = ", ".join(pattern for preset in same for pattern in preset.applies_to)
            raise ComponentError(f"preset {name!r} is for {wanted}; it does not apply to env {env!r}")
        preset = self.choose("preset", fitting[0].qualified if len(fitting) == 1 else name)[0].winner
        return preset

    def choose(self, kind: str, name: str, *, prefer: str = "") -> tuple[Choice, str]:
        """As `resolve`, with the rivals of the winner, and the name that an env's factory receives."""
        if not isinstance(name, str) or not name:
            raise ComponentError(f"no {kind} is named; see: sf-list {kind.replace('_', '-')}s")
        for attempt in ("loaded", "all"):
            specs, records = self.components(kind), self._by_name()
            if kind == "env":
                choice, full_name = find_env(name, specs, records)
            else:
                choice, full_name = find(kind, name, specs, records, prefer), name.rpartition("/")[2]
            if choice.winner is not None:
                return choice, full_name
            if attempt == "loaded" and not self._load(None):
                break
        raise ComponentError(unknown(kind, name, specs, records, self.failures()))

    def check_available(self, spec: Spec) -> None:
        """Refuse a component whose packages or files are absent (`UsageError` with the command that helps)."""
        check_available(spec)

    def owner_of_flag(self, flag: str) -> str | None:
        """Whose flag it is: "`--maze_size` belongs to env my_maze (plugin my_env)"; None if nobody's."""
        self._load(None)
        return owner_of_flag(flag, {kind: self.components(kind) for kind in HOOK_OF_KIND}, self.arguments())

    def record(self, plugin: str) -> PluginRecord:
        """The record of one plugin by its exact name."""
        return self._by_name()[plugin]

    # -- hooks of a run -----------------------------------------------------------------------------------------------

    def configure(self, cfg: Any, plan: RunPlan) -> None:
        """Let the plugins that take part check the configuration (hook `sf_configure`).

        Raises:
            UsageError: a plugin refuses it, or failed while looking; the message names the plugin.
        """
        for record in self._taking_part(plan):
            try:
                self._collector.call("sf_configure", record, {"cfg": cfg, "plan": plan})
            except UsageError:
                raise
            except Exception as error:
                if self._strict:
                    raise
                raise UsageError(f"{record.described} failed in sf_configure(): {describe_error(error)}") from error

    def report_header(self, cfg: Any, plan: RunPlan) -> list[str]:
        """Lines for the banner from the plugins that take part (hook `sf_report_header`); failures are logged."""
        lines: list[str] = []
        for record in self._taking_part(plan):
            try:
                for result in self._collector.call("sf_report_header", record, {"cfg": cfg, "plan": plan}):
                    lines += [result] if isinstance(result, str) else [str(line) for line in result or ()]
            except Exception as error:
                if self._strict:
                    raise
                log.warning("%s failed in sf_report_header(): %s", record.described, describe_error(error))
        return lines

    def _taking_part(self, plan: RunPlan) -> list[PluginRecord]:
        return [r for r in self._records if r.status in LOADED and (r.name in plan.plugins or r.required)]

    # -- loading ------------------------------------------------------------------------------------------------------

    def _load(self, names: set[str] | None) -> bool:
        """Load the plugins with these names that are not loaded yet (None: all of them); whether there were any."""
        waiting = [record for record in self._records if record.status == "found"]
        chosen = [record for record in waiting if names is None or record.name in names]
        for record in chosen:
            load(record, self._pluggy, self._strict)
        for record in chosen:
            if record.required and record.status not in LOADED:
                raise UsageError(f"-p {record.original_name or record.name}: {_with_problem(record)}") from record.error
        if chosen:
            self._collected.clear()
            self._say_failures()
        return bool(chosen)

    def _say_failures(self) -> None:
        for record in self._records:
            if record.status in ("broken", "incompatible", "degraded") and record.name not in self._announced:
                self._announced.add(record.name)
                if self._announce:
                    log.warning("%s is %s: %s", record.described, record.status, "; ".join(record.problems))
                if self._verbose and record.error is not None:
                    traceback.print_exception(record.error)

    def _script_record(self) -> Iterable[PluginRecord]:
        if script_specs((SCRIPT,)):
            yield PluginRecord(name=SCRIPT, entry_point="__main__", source="script", status="ok", explicit=True)

    def _by_name(self) -> dict[str, PluginRecord]:
        return {record.name: record for record in (*self._records, *self._script_record())}


def _with_problem(record: PluginRecord) -> str:
    return f"{record.name} ({record.status}: {'; '.join(record.problems)})"
