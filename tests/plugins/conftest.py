"""Plugins for tests: in memory (`plugin`), as installed distributions (`site`), and the nine fixtures (`nine`)."""

import importlib
import itertools
import logging
import sys
import types
from pathlib import Path

import importlib_metadata
import pytest

from sf_core.plugins import manager as manager_module
from sf_core.plugins.discovery import PluginRecord
from sf_core.plugins.hookspecs import hookimpl
from sf_core.plugins.script import forget_registrations
from sf_core.plugins.specs import (
    ActorCriticSpec,
    Arg,
    CoreSpec,
    DecoderSpec,
    EncoderSpec,
    EnvSpec,
    ObserverSpec,
    Preset,
    WrapperSpec,
)

DISTS = Path(__file__).parent / "dists"

HOOK_OF = {
    EnvSpec: "sf_environments",
    EncoderSpec: "sf_encoders",
    CoreSpec: "sf_cores",
    DecoderSpec: "sf_decoders",
    ActorCriticSpec: "sf_actor_critics",
    WrapperSpec: "sf_wrappers",
    ObserverSpec: "sf_observers",
    Preset: "sf_presets",
    Arg: "sf_arguments",
}


@pytest.fixture(autouse=True)
def _fresh_plugin_system(monkeypatch):
    """No variable of the machine, no registration and no manager of another test reaches this one."""
    for name in ("SF_PLUGINS", "SF_DISABLE_PLUGINS", "SF_LOAD", "SF_STRICT_PLUGINS", "SF_TRACE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    forget_registrations()
    manager_module._managers.clear()
    yield
    forget_registrations()
    manager_module._managers.clear()


@pytest.fixture
def plugin():
    """`plugin("atari", EnvSpec(...), sf_configure=f)`: the record of a plugin that offers these, not yet loaded."""

    def make(name, *offers, dist=None, version="1.0", explicit=False, load=None, **hooks):
        module = types.ModuleType(f"memory_{name}")
        for spec_class, hook in HOOK_OF.items():
            of_this_kind = [offer for offer in offers if type(offer) is spec_class]
            if of_this_kind:
                setattr(module, hook, hookimpl(_offering(hook, of_this_kind)))
        for hook, function in hooks.items():
            function.__name__ = hook
            setattr(module, hook, hookimpl(function))
        return PluginRecord(
            name=name,
            original_name=name,
            entry_point=f"memory_{name}",
            distribution=f"{name}-dist" if dist is None else dist,
            version=version,
            explicit=explicit,
            load=load or (lambda: module),
        )

    return make


def _offering(hook, offers):
    def implementation():
        return list(offers)

    implementation.__name__ = hook
    return implementation


@pytest.fixture
def manager_of():
    """`manager_of(record, ..., requests=(), strict=False)`: a manager that finds exactly these plugins."""

    def make(*records, requests=(), strict=False):
        return manager_module.Manager(requests, strict, records=list(records))

    return make


class Site:
    """A folder on the path in which distributions can be installed."""

    counter = itertools.count()

    def __init__(self, folder):
        self.folder = folder

    def add(self, dist, plugins, version="1.0", requires=()):
        """Install `dist`; `plugins` maps entry-point name -> source of its module. Returns the module names."""
        info = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        demands = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n{demands}")
        modules = {name: f"site_module_{next(self.counter)}" for name in plugins}
        lines = "".join(f"{name} = {module}\n" for name, module in modules.items())
        (info / "entry_points.txt").write_text(f"[sf_core.plugins]\n{lines}")
        for name, source in plugins.items():
            (self.folder / f"{modules[name]}.py").write_text(source)
        importlib.invalidate_caches()
        importlib_metadata.MetadataPathFinder.invalidate_caches()
        return modules


@pytest.fixture
def only_site(tmp_path, monkeypatch):
    """A site that is the only place where distributions are found; what is really installed stays importable."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(
        importlib_metadata, "distributions", lambda: importlib_metadata.Distribution.discover(path=[str(folder)])
    )
    return Site(folder)


@pytest.fixture
def nine(monkeypatch):
    """The nine fixture distributions, and no others."""
    monkeypatch.syspath_prepend(str(DISTS))
    monkeypatch.setattr(
        importlib_metadata, "distributions", lambda: importlib_metadata.Distribution.discover(path=[str(DISTS)])
    )
    yield DISTS
    for name in [name for name in sys.modules if name.startswith("fixture_")]:
        del sys.modules[name]


@pytest.fixture
def warnings_of(caplog):
    """The sentences logged so far by the plugin system."""
    caplog.set_level(logging.WARNING, logger="sf_core")
    return lambda: [record.getMessage() for record in caplog.records]
