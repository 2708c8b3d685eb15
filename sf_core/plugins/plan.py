"""The plan: what child processes need of the plugin system, fully resolved.

Comes in: refs and plain data, chosen once in the main process. Leaves: environments and model parts. This file knows
neither pluggy nor package metadata nor any plugin: a process that has a plan imports the owner of its env and no other.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sf_core.plugins.refs import Ref, describe_ref, resolve_ref
from sf_core.utils.errors import ComponentFailure, UsageError

__all__ = ["ComponentRef", "EnvError", "EnvPlan", "ModelPlan", "ObserverRef", "Ref", "RunPlan", "resolve_ref"]


class EnvError(ComponentFailure):
    """An environment raised; the message says which, from which plugin and version."""


@dataclass(frozen=True)
class ComponentRef:
    """One chosen component: `make(...)` calls its factory with its own static parameters added.

    `accepts` is a ref to a predicate on observation spaces; only encoders have one.
    """

    name: str
    plugin: str
    factory: Ref
    params: Mapping[str, Any] = field(default_factory=dict)
    accepts: Ref = ""

    @property
    def qualified(self) -> str:
        """`plugin/name`."""
        return f"{self.plugin}/{self.name}"

    def resolve(self) -> Callable[..., Any]:
        """The factory itself; imports its module."""
        factory: Callable[..., Any] = resolve_ref(self.factory)
        return factory

    def make(self, *args: Any, **kwargs: Any) -> Any:
        """Call the factory with `args`, `kwargs` and `params`."""
        return self.resolve()(*args, **{**self.params, **kwargs})

    def to_json(self) -> dict[str, Any]:
        """For `plan.json`."""
        return {
            "name": self.name,
            "plugin": self.plugin,
            "factory": describe_ref(self.factory),
            "params": dict(self.params),
        }


@dataclass(frozen=True)
class ObserverRef(ComponentRef):
    """A chosen observer; `critical` means that its failure ends the run."""

    critical: bool = False

    def to_json(self) -> dict[str, Any]:
        """For `plan.json`."""
        return {**super().to_json(), "critical": self.critical}


@dataclass(frozen=True)
class EnvPlan:
    """How to make the environment of a run.

    `name` is what factories receive as `full_env_name`: as typed, but without the plugin's name of a qualified one.
    """

    name: str
    plugin: str
    factory: Ref
    params: Mapping[str, Any] = field(default_factory=dict)
    vector_factory: Ref | None = None
    wrappers: tuple[ComponentRef, ...] = ()
    worker_init: Ref | None = None
    distribution: str = ""
    version: str = ""

    def call_factory(self, cfg: Any, env_config: Any, render_mode: str | None = None) -> Any:
        """One environment inside the chosen wrappers (the first one is innermost).

        A factory that does not accept `render_mode` is called without it.

        Raises:
            UsageError: raised by the factory; passes through, it is a sentence already.
            EnvError: anything else that the factory or a wrapper raised, attributed to its owner.
        """
        with self._attributed():
            env = self._call(self.factory, cfg, env_config, render_mode)
        for wrapper in self.wrappers:
            with self._attributed(f" in wrapper {wrapper.qualified}"):
                env = wrapper.make(env, cfg, env_config)
        return env

    def call_vector_factory(self, cfg: Any, env_configs: Sequence[Any], render_mode: str | None = None) -> Any:
        """One `gymnasium.vector.VectorEnv` of `len(env_configs)` envs, in that order; errors as in `call_factory`."""
        if self.vector_factory is None:
            raise ValueError(f"env {self.name!r} has no vector_factory")
        with self._attributed():
            return self._call(self.vector_factory, cfg, tuple(env_configs), render_mode)

    def init_worker(self, cfg: Any, worker_index: int) -> None:
        """Call the plugin's `worker_init`, if it has one; meant for the beginning of every env process."""
        if self.worker_init is not None:
            with self._attributed(" in worker_init"):
                resolve_ref(self.worker_init)(cfg, worker_index)

    @property
    def owner(self) -> str:
        """The plugin with its distribution and version, for messages."""
        package = " ".join(part for part in (self.distribution, self.version) if part)
        return f"plugin {self.plugin}, {package}" if package else f"plugin {self.plugin}"

    def _call(self, ref: Ref, cfg: Any, env_config: Any, render_mode: str | None) -> Any:
        factory = resolve_ref(ref)
        kwargs = dict(self.params)
        if accepts(factory, "render_mode"):
            kwargs["render_mode"] = render_mode
        return factory(self.name, cfg, env_config, **kwargs)

    @contextmanager
    def _attributed(self, where: str = "") -> Iterator[None]:
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            raise EnvError(f"env {self.name!r} ({self.owner}) failed{where}: {describe_error(error)}") from error

    def to_json(self) -> dict[str, Any]:
        """For `plan.json`."""
        return {
            "name": self.name,
            "plugin": self.plugin,
            "factory": describe_ref(self.factory),
            "params": dict(self.params),
            "vector_factory": None if self.vector_factory is None else describe_ref(self.vector_factory),
            "wrappers": [wrapper.to_json() for wrapper in self.wrappers],
        }


@dataclass(frozen=True)
class ModelPlan:
    """The parts of the policy's network."""

    actor_critic: ComponentRef
    encoder: ComponentRef
    core: ComponentRef
    decoder: ComponentRef

    def to_json(self) -> dict[str, Any]:
        """For `plan.json`."""
        return {part: getattr(self, part).to_json() for part in ("actor_critic", "encoder", "core", "decoder")}


@dataclass(frozen=True)
class RunPlan:
    """Everything chosen for one run.

    Attributes:
        plugins: of those that own something here: name -> `{"distribution", "version"}`.
        notices: sentences on choices that are not obvious; said at the start of the run.
    """

    env: EnvPlan
    model: ModelPlan
    observers: tuple[ObserverRef, ...] = ()
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Provenance for `plan.json`; refs in it are for people and are never read back."""
        return {
            "schema": 1,
            "env": self.env.to_json(),
            "model": self.model.to_json(),
            "observers": [observer.to_json() for observer in self.observers],
            "plugins": {name: dict(record) for name, record in self.plugins.items()},
            "notices": list(self.notices),
        }

    def check_portable(self) -> None:
        """Refuse what another process could not receive: call it before starting any.

        Raises:
            UsageError: names the component and says what to do.
        """
        model = self.model
        parts = (*self.env.wrappers, model.actor_critic, model.encoder, model.core, model.decoder)
        refs = [(self.env.name, ref) for ref in (self.env.factory, self.env.vector_factory, self.env.worker_init)]
        for name, ref in [*refs, *((part.name, part.factory) for part in parts)]:
            reason = _why_not_portable(ref)
            if reason:
                raise UsageError(f"{name!r} cannot be sent to other processes: {reason}")


def describe_error(error: BaseException) -> str:
    """`TypeName: message (notes)` on one line."""
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    notes = "; ".join(getattr(error, "__notes__", ()))
    return f"{text} ({notes})" if notes else text


def accepts(factory: Callable[..., Any], name: str) -> bool:
    """Whether `factory` may be called with an argument of this name; False where nobody can tell."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some builtins and extension types have no signature
        return False
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(p.kind is p.VAR_KEYWORD or (p.name == name and p.kind in by_name) for p in parameters)


def _why_not_portable(ref: Ref | None) -> str:
    if ref is None or isinstance(ref, str):
        if isinstance(ref, str) and ref.startswith("__main__:"):
            import __main__

            if getattr(__main__, "__file__", None) is None:
                return "it is defined in an interactive session; move it into a file, or use --serial_mode=True"
        return ""
    try:
        pickle.dumps(ref)
    except Exception as error:
        return (
            f"{describe_ref(ref)} does not pickle ({describe_error(error)}); "
            "register a function or class defined at the top level of a file, or use --serial_mode=True"
        )
    return ""
