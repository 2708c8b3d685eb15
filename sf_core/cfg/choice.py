"""Which components a run uses: names in, specs and the defaults that they bring out.

A default may choose a component (an env's defaults name an encoder) that brings defaults itself, so the choice is
repeated until it stands still. Problems are collected, not raised: a script may register what is missing now. This file
does not read files or command lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sf_core.cfg.config import ORIGINS
from sf_core.cfg.layers import Layer, merge
from sf_core.cfg.options import core_options
from sf_core.utils.errors import UsageError

if TYPE_CHECKING:
    from sf_core.plugins.manager import Manager
    from sf_core.plugins.specs import EnvSpec, Preset, Spec

_MODEL_PARTS = ("encoder", "core", "decoder", "actor_critic")
_LISTS = {"env_wrappers": "wrapper", "observers": "observer"}
_NAMES = ("preset", "env", *_MODEL_PARTS, *_LISTS)
_TYPED = ("preset", "config", "cli")
_MOST_ROUNDS = 10


@dataclass
class Choice:
    """The chosen components, the layers of defaults they bring, and what could not be resolved."""

    names: dict[str, Any] = field(default_factory=dict)
    env: EnvSpec | None = None
    parts: list[Spec] = field(default_factory=list)  # model parts, wrappers, observers
    preset: Preset | None = None
    layers: list[Layer] = field(default_factory=list)
    problems: list[UsageError] = field(default_factory=list)

    @property
    def specs(self) -> list[Spec]:
        """Every chosen component, the env first."""
        return [*([self.env] if self.env else []), *self.parts]

    @property
    def plugins(self) -> set[str]:
        """Those that own something here."""
        return {spec.plugin for spec in self.specs}


def choose(manager: Manager, layers: Sequence[Layer]) -> Choice:
    """Resolve the names in `layers` (core defaults, script, saved run, file, command line), until nothing changes."""
    choice = Choice()
    for _ in range(_MOST_ROUNDS):
        values, origins = merge(stacked([*layers, *choice.layers]))
        names = {name: _typed(name, values.get(name)) for name in _NAMES}
        if names == choice.names:
            return choice
        choice = _resolve(manager, names, origins, str(values.get("experiment")))
    choice.problems.append(
        UsageError(
            "the defaults of the chosen components choose each other in a circle; "
            "name the components on the command line."
        )
    )
    return choice


def stacked(layers: Sequence[Layer]) -> list[Layer]:
    """Layers from weak to strong."""
    return sorted(layers, key=lambda layer: ORIGINS.index(layer.origin))


def needs_naming_again(env_name: str, spec: EnvSpec) -> bool:
    """Whether the name itself says which code to execute (`py:`, `module:Id`), so that a stored one is not obeyed."""
    name = env_name.removeprefix("core/").removeprefix("gym:").removeprefix("envpool:")
    return spec.plugin == "core" and ":" in name


def _resolve(manager: Manager, names: dict[str, Any], origins: dict[str, str], experiment: str) -> Choice:
    choice = Choice(names=names)

    def resolved(kind: str, option: str, name: str) -> Any:
        # A name that nobody typed comes from the env's defaults and means the part that comes with that env.
        owner = choice.env.plugin if choice.env and origins[option] not in _TYPED else ""
        try:
            return manager.resolve(kind, name, prefer=owner)
        except UsageError as error:
            if origins.get(option) == "saved":
                error = _unknown_in_saved_run(experiment, kind, name, error)
            choice.problems.append(error)
            return None

    if names["env"]:
        choice.env = resolved("env", "env", names["env"])
        if choice.env and origins["env"] == "saved" and needs_naming_again(names["env"], choice.env):
            choice.problems.append(
                UsageError(
                    f"run {experiment!r} was trained on {names['env']!r}, a name that says which code to execute; "
                    f"what a stored run names is not executed, so name it again: --env={names['env']}"
                )
            )
            choice.env = None
    for kind in _MODEL_PARTS:
        if part := resolved(kind, kind, names[kind]):
            choice.parts.append(part)
    for option, kind in _LISTS.items():
        choice.parts += [part for name in names[option] if (part := resolved(kind, option, name))]
    if names["preset"]:
        try:
            env_name = manager.choose("env", names["env"])[1] if choice.env else ""
            choice.preset = manager.resolve_preset(names["preset"], env_name)
        except UsageError as error:
            choice.problems.append(error)
    choice.layers = _layers_of(choice)
    return choice


def _layers_of(choice: Choice) -> list[Layer]:
    layers = []
    for spec in choice.specs:
        if spec.defaults:
            origin = "env" if spec is choice.env else "component"
            source = f"{spec.kind.replace('_', '-')} {spec.name} (plugin {spec.plugin})"
            layers.append(Layer(origin, source, spec.defaults))
    preset = choice.preset
    if preset:
        layers.append(Layer("preset", f"preset {preset.name} (plugin {preset.plugin})", preset.values))
    return layers


def _unknown_in_saved_run(experiment: str, kind: str, name: str, error: UsageError) -> UsageError:
    flag = f"--{kind}={name}" if kind not in _LISTS.values() else f"that {kind}"
    return UsageError(
        f"run {experiment!r} was trained with {kind} {name!r}, which is not known here ({str(error).rstrip('.')}); "
        f"if a script registered it, name it again ({flag} with -p my_file.py) or run that script."
    )


def _typed(name: str, value: Any) -> Any:
    """A component's name, or names, whatever a plugin wrote; what cannot be read counts as the default."""
    option = core_options()[name]
    try:
        return option.convert(value)
    except UsageError:
        return option.default
