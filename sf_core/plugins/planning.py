"""A configuration becomes a plan: names are resolved once, in the main process, and availability is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sf_core.plugins.plan import ComponentRef, EnvPlan, ModelPlan, ObserverRef, RunPlan
from sf_core.plugins.resolution import Choice
from sf_core.plugins.specs import EncoderSpec, EnvSpec, ObserverSpec, Spec

if TYPE_CHECKING:
    from sf_core.plugins.manager import Manager

# Where a value comes from if the user asked for it in this run; such a choice ranks above what a script registered,
# and an ambiguous name in it is an error even if the env's own plugin is among the owners.
_ASKED_FOR = ("cli", "config", "preset", "saved")


def build_plan(cfg: Mapping[str, Any], manager: Manager, *, check: bool = True) -> RunPlan:
    """Resolve `env, encoder, core, decoder, actor_critic, env_wrappers, observers` of `cfg`.

    Args:
        cfg: a configuration; if it has an `origin(name)` method, that decides whether a value was asked for.
        manager: where names are resolved.
        check: refuse components whose packages are absent.

    Raises:
        UsageError: a name is unknown or ambiguous, or what it needs is not installed.
    """
    planner = _Planner(cfg, manager, check)
    env = planner.env_plan()
    parts = {kind: planner.model_part(kind, env.plugin) for kind in ("actor_critic", "encoder", "core", "decoder")}
    observers = tuple(planner.observers(env.plugin))
    owners = [env.plugin, *(w.plugin for w in env.wrappers), *(p.plugin for p in parts.values())]
    owners += [observer.plugin for observer in observers]
    plugins = {name: _package(manager, name) for name in dict.fromkeys(owners)}
    return RunPlan(env, ModelPlan(**parts), observers, plugins, tuple(dict.fromkeys(planner.notices)))


class _Planner:
    def __init__(self, cfg: Mapping[str, Any], manager: Manager, check: bool) -> None:
        self.cfg, self.manager, self.check = cfg, manager, check
        self.notices: list[str] = []

    def env_plan(self) -> EnvPlan:
        choice, name = self.manager.choose("env", self.cfg["env"])
        spec: EnvSpec = self._accept(choice)
        wrappers = tuple(
            _component(self._resolve("wrapper", wrapper, "env_wrappers", spec.plugin))
            for wrapper in self.cfg.get("env_wrappers") or ()
        )
        if wrappers and spec.vector_factory is not None:
            self.notices.append(f"env {name!r} is made one by one instead of natively vectorised: wrappers are chosen")
        record = self.manager.record(spec.plugin)
        return EnvPlan(
            name=name,
            plugin=spec.plugin,
            factory=spec.factory,
            params=spec.params,
            vector_factory=None if wrappers else spec.vector_factory,
            wrappers=wrappers,
            worker_init=spec.worker_init,
            distribution=record.distribution,
            version=record.version,
        )

    def model_part(self, kind: str, env_plugin: str) -> ComponentRef:
        name = self.cfg.get(kind) or "auto"
        registered = self.manager.script_components().get(kind)
        if registered is not None and not self._asked_for(kind, name):
            name = registered
        return _component(self._resolve(kind, name, kind, env_plugin))

    def observers(self, env_plugin: str) -> Iterable[ObserverRef]:
        names = [*(self.cfg.get("observers") or ()), *(["core/wandb"] if self.cfg.get("with_wandb") else ())]
        chosen = {
            spec.qualified: spec for spec in (self._resolve("observer", n, "observers", env_plugin) for n in names)
        }
        for spec in chosen.values():
            critical = isinstance(spec, ObserverSpec) and spec.critical
            yield ObserverRef(spec.name, spec.plugin, spec.factory, spec.params, critical=critical)

    def _asked_for(self, option: str, value: Any) -> bool:
        origin = getattr(self.cfg, "origin", None)
        return origin(option) in _ASKED_FOR if callable(origin) else value != "auto"

    def _resolve(self, kind: str, name: str, option: str, env_plugin: str) -> Spec:
        prefer = "" if self._asked_for(option, name) else env_plugin
        spec: Spec = self._accept(self.manager.choose(kind, name, prefer=prefer)[0])
        return spec

    def _accept(self, choice: Choice) -> Any:
        spec = choice.winner
        if choice.reason:
            others = ", ".join(rival.qualified for rival in choice.rivals)
            verb = " replaces" if choice.reason == "replaces" else ", registered for this run, is used instead of"
            self.notices.append(f"{spec.kind} {spec.qualified}{verb} {others}")
        if self.check:
            self.manager.check_available(spec, self.cfg)
        return spec


def _component(spec: Spec) -> ComponentRef:
    accepts = spec.accepts if isinstance(spec, EncoderSpec) else ""
    return ComponentRef(spec.name, spec.plugin, spec.factory, spec.params, accepts)


def _package(manager: Manager, plugin: str) -> dict[str, str]:
    record = manager.record(plugin)
    return {"distribution": record.distribution, "version": record.version}
