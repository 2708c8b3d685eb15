"""What a plugin can offer, as data.

Comes in: literals and refs, from the hooks of a plugin. Leaves: frozen, checked records. A spec never imports what it
names: building every spec of every plugin costs milliseconds and pulls in no simulator, no numpy and no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from sf_core.plugins.refs import Ref, check_ref

_BAD_IN_NAME = re.compile(r"[\s,=]")


class PluginUnavailable(Exception):  # noqa: N818 - it is a statement about the machine, not an error
    """Raised by a plugin's module to say that it cannot work here: `raise PluginUnavailable("needs Linux")`."""


@dataclass(frozen=True)
class Arg:
    """One command-line flag of a component, active only when that component is selected.

    Written positionally: `Arg("--maze_size", int, 16, "side of the maze")`.
    """

    flag: str
    type: Callable[[str], Any] = str
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what argparse would misread."""
        if not isinstance(self.flag, str) or not re.fullmatch(r"--[A-Za-z]\w*", self.flag):
            raise ValueError(f'flag={self.flag!r}: write it as "--lower_snake"')
        if not callable(self.type):
            raise TypeError(f"{self.flag}: type={self.type!r} is not callable")
        if self.choices is not None:
            object.__setattr__(self, "choices", tuple(self.choices))

    @property
    def name(self) -> str:
        """The name of its value in the configuration."""
        return self.flag[2:]


@dataclass(frozen=True)
class Metric:
    """A number that an env reports in `episode_extra_stats`."""

    name: str
    unit: str = ""
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every component has; use the subclass of its kind.

    Attributes:
        name: what users type. No spaces, commas or `=`; no `/` or `:` but in families. lower_snake by convention.
        factory: `"package.module:name"`, imported only where the component is made.
        summary: one line for `sf-list`.
        params: keyword arguments for the factory, so that many components share one.
        requires: top-level import names that must be installed, or `{import name: pip name}` where they differ.
        missing: set by the hook itself when a file or licence is absent, in words: `"battle.wad"`.
        fix: the command that helps when something is missing.
        supplied_by: the option with which a user says where the missing thing is (`"scenarios_dir"`). Given, the run
            starts, and the factory looks for itself.
        tags: free words for filtering.
        replaces: `"plugin/name"` of the component that this one deliberately takes over.
        defaults: hyper-parameter defaults that choosing it brings, `{"encoder": "nature_cnn", "gamma": 0.99}`.
        args: its flags.
        plugin: the owner; stamped by the manager.
    """

    kind: ClassVar[str] = ""

    name: str
    factory: Ref
    summary: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    requires: Mapping[str, str] | tuple[str, ...] = ()
    missing: str = ""
    fix: str = ""
    supplied_by: str = ""
    tags: tuple[str, ...] = ()
    replaces: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    args: tuple[Arg, ...] = ()
    plugin: str = ""

    def __post_init__(self) -> None:
        """Check shapes, never meaning: nothing is imported."""
        check_name(self.name, family=getattr(self, "family", False))
        for spec_field in fields(self):
            value = getattr(self, spec_field.name)
            if spec_field.name in _REFS:
                if spec_field.name == "factory" or value not in (None, ""):
                    check_ref(value, spec_field.name)
            elif spec_field.name in _MAPPINGS:
                self._freeze(spec_field.name, dict(_mapping(spec_field.name, value)))
            elif spec_field.name in _TUPLES:
                self._freeze(spec_field.name, _tuple(spec_field.name, value, _TUPLES[spec_field.name]))
        requires = dict(self.requires) if isinstance(self.requires, Mapping) else _tuple("requires", self.requires, str)
        self._freeze("requires", requires)
        check_replaces(self.replaces, self.name)

    def _freeze(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def qualified(self) -> str:
        """`plugin/name`, which is never ambiguous."""
        return f"{self.plugin}/{self.name}"

    @property
    def requirements(self) -> dict[str, str]:
        """Top-level import name -> name to `pip install`."""
        if isinstance(self.requires, Mapping):
            return {name: pip or name for name, pip in self.requires.items()}
        return {name: name for name in self.requires}


@dataclass(frozen=True, kw_only=True)
class EnvSpec(Spec):
    """An environment; its factory is `f(full_env_name, cfg, env_config, render_mode=None, **params)`.

    Attributes:
        metrics: names it reports in `episode_extra_stats`.
        vector_factory: ref to `f(full_env_name, cfg, env_configs, render_mode=None, **params)`, which builds one
            `gymnasium.vector.VectorEnv` of `len(env_configs)` envs natively: over arrays, over torch tensors that stay
            on a device (`metadata["tensor_device"]` names it; needs `--serial_mode=True`), or an EnvPool.
        family: `name` is a prefix (`"gym:"`, `"dmlab_"`) that stands for any number of envs.
        worker_init: ref to `f(cfg, worker_index)`, called once per env process.
    """

    kind: ClassVar[str] = "env"

    metrics: tuple[Metric, ...] = ()
    vector_factory: Ref | None = None
    family: bool = False
    worker_init: Ref | None = None


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """An encoder, `f(cfg, obs_space)`; `accepts` is a ref to a light predicate `f(obs_space) -> bool`."""

    kind: ClassVar[str] = "encoder"

    accepts: Ref = ""


@dataclass(frozen=True, kw_only=True)
class CoreSpec(Spec):
    """What stands between encoder and decoder and may remember: `f(cfg, input_size)`."""

    kind: ClassVar[str] = "core"


@dataclass(frozen=True, kw_only=True)
class DecoderSpec(Spec):
    """What stands between the core and the heads: `f(cfg, input_size)`."""

    kind: ClassVar[str] = "decoder"


@dataclass(frozen=True, kw_only=True)
class ActorCriticSpec(Spec):
    """A whole model; the factory asks by name for `cfg, obs_space, action_space, model_factory`."""

    kind: ClassVar[str] = "actor_critic"


@dataclass(frozen=True, kw_only=True)
class WrapperSpec(Spec):
    """Something around an env: `f(env, cfg, env_config, **params) -> env`."""

    kind: ClassVar[str] = "wrapper"


@dataclass(frozen=True, kw_only=True)
class ObserverSpec(Spec):
    """Something that watches training: `f(cfg) -> TrainingObserver`; `critical` means its failure ends the run."""

    kind: ClassVar[str] = "observer"

    critical: bool = False


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named set of hyper-parameters; `applies_to` holds env names or patterns (`"atari_*"`), nothing means all."""

    kind: ClassVar[str] = "preset"

    name: str
    values: Mapping[str, Any]
    summary: str = ""
    applies_to: tuple[str, ...] = ()
    replaces: str | None = None
    plugin: str = ""

    def __post_init__(self) -> None:
        """Check shapes."""
        check_name(self.name)
        check_replaces(self.replaces, self.name)
        object.__setattr__(self, "values", dict(_mapping("values", self.values)))
        object.__setattr__(self, "applies_to", _tuple("applies_to", self.applies_to, str))

    @property
    def qualified(self) -> str:
        """`plugin/name`, which is never ambiguous."""
        return f"{self.plugin}/{self.name}"


SPEC_OF_KIND: dict[str, type[Spec]] = {
    spec.kind: spec
    for spec in (EnvSpec, EncoderSpec, CoreSpec, DecoderSpec, ActorCriticSpec, WrapperSpec, ObserverSpec)
}

_REFS = ("factory", "vector_factory", "worker_init", "accepts")
_MAPPINGS = ("params", "defaults")
_TUPLES: dict[str, type] = {"args": Arg, "metrics": Metric, "tags": str}


def check_name(name: object, family: bool = False) -> None:
    """Refuse a component name that a command line could not hold (`ValueError`)."""
    if not isinstance(name, str) or not name or name.startswith("-") or _BAD_IN_NAME.search(name):
        raise ValueError(f"name={name!r}: a name has no spaces, no ',' and no '='")
    if not family and ("/" in name or ":" in name):
        raise ValueError(f"name={name!r}: only a family may have '/' or ':' in its name")


def check_replaces(replaces: str | None, name: str) -> None:
    """Refuse a `replaces` that does not name somebody's component of the same name (`ValueError`)."""
    if replaces is not None and (not isinstance(replaces, str) or replaces.partition("/")[2] != name):
        raise ValueError(f'replaces={replaces!r}: write "plugin/{name}", the owner and the same name')


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={value!r} is not a dictionary")
    return value


def _tuple(name: str, value: object, item_type: type) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (tuple, list, frozenset, set)):
        raise TypeError(f"{name}={value!r}: write a tuple, also around a single item: ({value!r},)")
    items = tuple(value) if isinstance(value, (tuple, list)) else tuple(sorted(value))
    for item in items:
        if not isinstance(item, item_type):
            raise TypeError(f"{name} holds {item!r}, which is not of type {item_type.__name__}")
    return items
