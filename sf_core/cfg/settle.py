"""Everything that decides a run before its flags are parsed: files, saved run, plugins, components, in their order.

Comes in: an argv, and what a script has said. Leaves: `Settled`: the plugin manager, the chosen components, the flags
they bring, and the layers of values. Nothing is raised or printed: a script may still register what is missing, so
problems are kept for whoever parses in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sf_core.cfg import resume
from sf_core.cfg.choice import Choice, choose, stacked
from sf_core.cfg.component_flags import FlagOwner, component_groups, describe
from sf_core.cfg.config_file import read_config_file
from sf_core.cfg.flags import LenientParser
from sf_core.cfg.layers import Layer, merge
from sf_core.cfg.option import Option, OptionGroup
from sf_core.cfg.options import core_defaults, core_options
from sf_core.plugins.manager import Manager, get_manager, prescan
from sf_core.utils.errors import UsageError

_NOT_IN_FILES = ("help", "config", "print_config")


@dataclass
class Settled:
    """What is known before flags are parsed in earnest.

    Attributes:
        groups: flags of the chosen components and of their plugins, by heading.
        layers: all sources but the command line, from weak to strong, not yet typed.
        cli: what of the command line could be read.
        problems: what must be said if nobody mends it, in the order a reader would meet it.
    """

    manager: Manager
    choice: Choice
    groups: dict[str, OptionGroup]
    layers: list[Layer]
    cli: dict[str, Any]
    problems: list[UsageError] = field(default_factory=list)

    @property
    def component_options(self) -> dict[str, Option]:
        """Options of the chosen components by name."""
        return {option.name: option for group in self.groups.values() for option in group.options}


def settle(
    argv: Sequence[str],
    evaluation: bool,
    script_values: Mapping[str, Any] | None = None,
    saved_values: Mapping[str, Any] | None = None,
    read_saved: bool = True,
) -> Settled:
    """Look at everything but the flags of components.

    Args:
        argv: words of the command line.
        evaluation: the saved configuration of the run is then the base, and must exist.
        script_values: what a script gave to `set_defaults`.
        saved_values: use these instead of reading the run's `config.json`.
        read_saved: whether to look for a run to continue at all.
    """
    problems: list[UsageError] = []
    cli = dict(_first_look(evaluation).read(argv))
    script_values = script_values or {}
    defaults = Layer("default", "defaults", core_defaults(evaluation))
    config = _config_layer(cli, problems)
    base = [defaults, Layer("script", "the script", script_values), *config]
    where, _ = merge([*base, Layer("cli", "the command line", cli)])
    manager, asked_for = _manager(argv, _plugins_in(config), problems)
    if asked_for:
        cli["plugins"] = asked_for
    if saved_values is None and read_saved:
        try:
            saved_values = resume.saved_values(where, evaluation)
        except UsageError as error:
            problems.append(error)
    saved = [Layer("saved", f"run {where['experiment']!r}", saved_values)] if saved_values else []
    script = Layer("script", "the script", {**manager.script_components(), **script_values})

    fixed = [defaults, script, *saved, *config]
    choice = choose(manager, [*fixed, Layer("cli", "the command line", cli)])
    problems += choice.problems
    groups = _flags(manager, choice, problems)
    settled = Settled(manager, choice, groups, [], cli, problems)
    declared = {option.name: option.default for option in settled.component_options.values()}
    settled.layers = stacked([Layer("default", "defaults", declared), *fixed, *choice.layers])
    if declared:
        options = [*core_options(evaluation).values(), *settled.component_options.values()]
        settled.cli = {**LenientParser(options).read(argv), "plugins": cli.get("plugins", [])}
    return settled


@cache
def _first_look(evaluation: bool) -> LenientParser:
    return LenientParser(core_options(evaluation).values())


def _config_layer(cli: Mapping[str, Any], problems: list[UsageError]) -> list[Layer]:
    path = cli.get("config")
    if not path:
        return []
    try:
        values = read_config_file(path)
        for name in _NOT_IN_FILES:
            if name in values:
                raise UsageError(f"{path} has {name}, which can only be given on the command line.")
    except UsageError as error:
        problems.append(error)
        return []
    return [Layer("config", path, values)]


def _plugins_in(config: Sequence[Layer]) -> list[str]:
    wanted = config[0].values.get("plugins", []) if config else []
    return [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]


def _manager(argv: Sequence[str], in_file: list[str], problems: list[UsageError]) -> tuple[Manager, list[str]]:
    """The plugin manager, and the plugins asked for by name."""
    requests, strict, verbose = prescan(argv)
    asked_for = [*in_file, *requests]
    try:
        return get_manager(tuple(asked_for), strict, verbose=verbose), asked_for
    except UsageError as error:
        problems.append(error)
        return get_manager((), False), asked_for


def _flags(manager: Manager, choice: Choice, problems: list[UsageError]) -> dict[str, OptionGroup]:
    owners = [FlagOwner(describe(spec), spec.args) for spec in choice.specs]
    for plugin, args in manager.arguments().items():
        # As for `sf_configure`: a plugin that is merely installed adds nothing to a run.
        if plugin in choice.plugins or manager.record(plugin).required:
            owners.append(FlagOwner(f"plugin {plugin}", tuple(args)))
    try:
        return component_groups(owners)
    except UsageError as error:
        problems.append(error)
        return {}
