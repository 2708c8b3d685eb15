"""The plugin system behind one object, for the process the user started; children receive a plan instead.

get_manager(requests)  scan metadata, select, load the thin modules, each isolated
Manager.resolve(...)   a name becomes a spec
build_plan(cfg, m)     a configuration becomes what child processes need
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pluggy

from sf_core.plugins import hookspecs
from sf_core.plugins.attribution import owner_of_flag
from sf_core.plugins.availability import check_available
from sf_core.plugins.catalogue import Catalogue
from sf_core.plugins.components import HOOK_OF_KIND
from sf_core.plugins.discovery import CORE, LOADED, PluginRecord
from sf_core.plugins.plan import RunPlan, describe_error
from sf_core.plugins.planning import build_plan
from sf_core.plugins.requests import prescan
from sf_core.plugins.resolution import Choice, ComponentError, find, find_env, unknown
from sf_core.plugins.specs import Preset, Spec
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


class Manager(Catalogue):
    """Names become components, and the plugins of a run get their say.

    A qualified name (`plugin/name`) loads its owner alone; a bare one may be anybody's and loads every plugin.
    """

    def __init__(
        self,
        requests: Sequence[str] = (),
        strict: bool = False,
        *,
        verbose: bool = False,
        announce: bool = True,
        records: Sequence[PluginRecord] | None = None,
    ) -> None:
        plugin_manager = pluggy.PluginManager(hookspecs.PROJECT)
        plugin_manager.add_hookspecs(hookspecs)
        super().__init__(plugin_manager, requests, strict, verbose=verbose, announce=announce, records=records)

    def all_components(self, kind: str) -> list[Any]:
        """Every component of `kind`, of every plugin; these are loaded."""
        self.load()
        return self.components(kind)

    # -- names --------------------------------------------------------------------------------------------------------

    def resolve(self, kind: str, name: str, *, prefer: str = "") -> Spec:
        """The component of `kind` that `name` means.

        Args:
            kind: "env", "encoder", "core", "decoder", "actor_critic", "wrapper" or "observer".
            name: bare or qualified; for envs also a member of a family or a Gymnasium id.
            prefer: a plugin whose own component wins over others of the same name; pass an env's plugin for names that
                come from that env's defaults, so that installing something never changes what they mean.

        Raises:
            ComponentError: unknown or ambiguous.
        """
        spec: Spec = self.choose(kind, name, prefer=prefer)[0].winner
        return spec

    def resolve_preset(self, name: str, env: str = "") -> Preset:
        """The preset that `name` means, among those that apply to `env` if one is given; errors as in `resolve`."""
        if not env:
            preset: Preset = self.choose("preset", name)[0].winner
            return preset
        same = [preset for preset in self.all_components("preset") if name in (preset.name, preset.qualified)]
        fitting = [p for p in same if not p.applies_to or any(fnmatch.fnmatchcase(env, a) for a in p.applies_to)]
        if same and not fitting:
            wanted = ", ".join(pattern for preset in same for pattern in preset.applies_to)
            raise ComponentError(f"preset {name!r} is meant for {wanted}, not for {env}")
        return self.resolve_preset(fitting[0].qualified if len(fitting) == 1 else name)

    def choose(self, kind: str, name: str, *, prefer: str = "") -> tuple[Choice, str]:
        """As `resolve`, with the rivals of the winner, and the name that an env's factory receives."""
        if not isinstance(name, str) or not name:
            raise ComponentError(f"no {kind} is named; see: sf-list {kind.replace('_', '-')}s")
        owner, slash, _ = name.partition("/")
        if slash and any(record.name == owner for record in self._records):
            self.load({owner})
        elif name != "auto":  # which only the core may offer
            self.load()
        specs, records = self.components(kind), self.by_name()
        if kind == "env":
            choice, full_name = find_env(name, specs, records)
        else:
            choice, full_name = find(kind, name, specs, records, prefer), name.rpartition("/")[2]
        if choice.winner is None:
            raise ComponentError(unknown(kind, name, self.all_components(kind), self.by_name(), self.failed_sentence()))
        return choice, full_name

    def check_available(self, spec: Spec, cfg: Mapping[str, Any] | None = None) -> None:
        """Refuse a component whose packages or files are absent (`UsageError` with the command that helps)."""
        check_available(spec, cfg)

    def owner_of_flag(self, flag: str) -> str | None:
        """Whose flag it is: "`--maze_size` belongs to env my_maze (plugin my_env)"; None if nobody's."""
        return owner_of_flag(flag, {kind: self.all_components(kind) for kind in HOOK_OF_KIND}, self.arguments())

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
                raise UsageError(
                    f"{record.described} failed in sf_configure(): {describe_error(error)}; "
                    f"to rule it out: -p no:{record.name}"
                ) from error

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
        names = {name for name in plan.plugins if name != CORE}
        return [r for r in self._records if r.status in LOADED and (r.name in names or r.required)]
