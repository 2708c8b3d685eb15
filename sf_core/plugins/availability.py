"""Is what a component needs installed? Looked up by name, without importing it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

from sf_core.plugins.specs import Spec
from sf_core.utils.errors import UsageError


def is_installed(top_level: str) -> bool:
    """Whether an importable package or module exists; a bare folder (namespace package) does not count.

    Only the first part of a dotted name is looked up: finding `a.b` would import `a`.
    """
    name = top_level.partition(".")[0]
    if name in sys.modules:
        return sys.modules[name] is not None and getattr(sys.modules[name], "__file__", "builtin") is not None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def unmet(spec: Spec) -> list[str]:
    """What is absent: import names, then the component's own word for a missing file or licence."""
    absent = [name for name in spec.requirements if not is_installed(name)]
    return [*absent, spec.missing] if spec.missing else absent


def check_available(spec: Spec, cfg: Mapping[str, Any] | None = None) -> None:
    """Refuse a component that cannot run here.

    Args:
        spec: the component.
        cfg: the configuration, in which the user may say where the missing file is (`supplied_by`).

    Raises:
        UsageError: names what is absent and the command that helps.
    """
    absent = unmet(spec)
    if cfg is not None and spec.supplied_by and cfg.get(spec.supplied_by):
        absent = [name for name in absent if name != spec.missing]
    if not absent:
        return
    pip_names = [spec.requirements[name] for name in absent if name in spec.requirements]
    remedy = spec.fix or (f"pip install {' '.join(pip_names)}" if pip_names else "")
    what = f"{spec.kind} {spec.name!r} (plugin {spec.plugin}) needs {', '.join(absent)}"
    raise UsageError(f"{what}: {remedy}" if remedy else f"{what}, which is not here")
