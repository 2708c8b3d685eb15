"""What a user's own file registers: environments, model parts.

Comes in: functions and classes, through `register_env` and `global_model_factory()`. Leaves: specs that hold refs.
Standard library only, and idempotent, because children of a run execute the user's file again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from sf_core.plugins.refs import ref_of
from sf_core.plugins.specs import (
    ActorCriticSpec,
    Arg,
    CoreSpec,
    DecoderSpec,
    EncoderSpec,
    EnvSpec,
    Metric,
    Spec,
)
from sf_core.utils.log import log

SCRIPT = "script"  # the plugin that owns what no `-p` file registered

_Factory = TypeVar("_Factory", bound=Callable[..., Any])


@dataclass
class _Registry:
    """Everything registered in this process, by (owner, kind, name); insertion order is kept."""

    specs: dict[tuple[str, str, str], Spec]
    chosen: dict[str, tuple[str, str]]  # model part -> (owner, name): registering one selects it for the run
    owner: str = SCRIPT


_registry = _Registry({}, {})


@overload
def register_env(name: str, factory: _Factory, **spec: Any) -> _Factory: ...


@overload
def register_env(
    name: str,
    factory: None = None,
    *,
    defaults: Mapping[str, Any] = ...,
    args: tuple[Arg, ...] = ...,
    metrics: tuple[Metric, ...] = ...,
    summary: str = ...,
    params: Mapping[str, Any] = ...,
    requires: Mapping[str, str] | tuple[str, ...] = ...,
    vector_factory: Callable[..., Any] | str | None = ...,
    worker_init: Callable[..., Any] | str | None = ...,
    tags: tuple[str, ...] = ...,
) -> Callable[[_Factory], _Factory]: ...


def register_env(name: str, factory: Any = None, **spec: Any) -> Any:
    """Make `--env=name` known: `register_env("my_env", make_my_env)`, or as a decorator `@register_env("my_env")`.

    Args:
        name: what `--env` takes.
        factory: `f(full_env_name, cfg, env_config, render_mode=None)`, a function or class at the top level of a
            module, a `functools.partial` of one, or any callable that pickles.
        spec: further fields of `EnvSpec`: `defaults`, `args`, `metrics`, `summary`, `vector_factory`, ...

    Registering the same factory under the same name again changes nothing; another one takes the name over with a
    warning. The explicit registration wins over an installed plugin's env of the same name.
    """

    def register(factory: _Factory) -> _Factory:
        refs = {key: ref_of(spec[key]) for key in ("vector_factory", "worker_init") if callable(spec.get(key))}
        fields = {"family": False, **spec, **refs, "plugin": _registry.owner}
        _add(EnvSpec(name=name, factory=ref_of(factory), **fields))
        return factory

    return register if factory is None else register(factory)


class ModelFactory:
    """Registers parts of the model; what is registered is used by the runs of this process.

    An explicit `--encoder=...` on the command line still wins, and a registered actor-critic wins over parts.
    """

    def register_actor_critic_factory(self, factory: _Factory) -> _Factory:
        """`f(cfg, obs_space, action_space)`, or by name with `model_factory` too, makes the whole actor-critic."""
        return _register_part(ActorCriticSpec, factory)

    def register_encoder_factory(self, factory: _Factory) -> _Factory:
        """`f(cfg, obs_space)` makes the encoder."""
        return _register_part(EncoderSpec, factory)

    def register_core_factory(self, factory: _Factory) -> _Factory:
        """`f(cfg, input_size)` makes the core."""
        return _register_part(CoreSpec, factory)

    register_model_core_factory = register_core_factory

    def register_decoder_factory(self, factory: _Factory) -> _Factory:
        """`f(cfg, input_size)` makes the decoder."""
        return _register_part(DecoderSpec, factory)


_model_factory = ModelFactory()


def global_model_factory() -> ModelFactory:
    """The one factory of this process; registering only, building is the model's business."""
    return _model_factory


def script_components(owners: tuple[str, ...] | None = None) -> dict[str, str]:
    """Model parts that scripts chose: kind ("encoder", "core", ...) -> qualified name.

    They rank above every default and below an explicit choice of the user. `owners` limits the answer to these plugins.
    """
    return {
        kind: f"{owner}/{name}" for kind, (owner, name) in _registry.chosen.items() if owners is None or owner in owners
    }


def script_specs(owners: tuple[str, ...] | None = None) -> list[Spec]:
    """The specs registered so far, in order."""
    return [spec for spec in _registry.specs.values() if owners is None or spec.plugin in owners]


@contextmanager
def registering_for(owner: str) -> Iterator[None]:
    """While a `-p` file is executed: what it registers belongs to `owner`."""
    previous, _registry.owner = _registry.owner, owner
    try:
        yield
    finally:
        _registry.owner = previous


def forget_registrations() -> None:
    """Empty the registry (tests)."""
    _registry.specs.clear()
    _registry.chosen.clear()


def _register_part(spec_class: type[Spec], factory: _Factory) -> _Factory:
    name = getattr(factory, "__name__", type(factory).__name__).strip("<>") or "registered"
    _add(spec_class(name=name, factory=ref_of(factory), plugin=_registry.owner))
    _registry.chosen[spec_class.kind] = (_registry.owner, name)
    return factory


def _add(spec: Spec) -> None:
    key = (spec.plugin, spec.kind, spec.name)
    known = _registry.specs.get(key)
    if known is not None and known.factory != spec.factory:
        log.warning("%s %r is registered again with another factory; the last one is used", spec.kind, spec.name)
    _registry.specs[key] = spec
