"""Whose flag is it? Answered from the static declarations of all specs, without importing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sf_core.plugins.specs import Arg


def owner_of_flag(
    flag: str, components: Mapping[str, Sequence[Any]], plugin_args: Mapping[str, Sequence[Arg]]
) -> str | None:
    """`"--x belongs to env a (plugin p)"`; None if no plugin declares the flag. `flag` may carry `=value`."""
    flag = flag.partition("=")[0]
    names = {flag, f"--{flag[5:]}"} if flag.startswith("--no_") else {flag}
    for plugin, args in plugin_args.items():
        if any(arg.flag in names for arg in args):
            return f"`{flag}` belongs to plugin {plugin} as a whole (load it with -p {plugin})"
    owners = [
        (kind, spec)
        for kind, specs in components.items()
        for spec in specs
        if any(arg.flag in names for arg in getattr(spec, "args", ()))
    ]
    if not owners:
        return None
    groups: dict[tuple[str, str], list[str]] = {}
    for kind, spec in owners:
        groups.setdefault((kind, spec.plugin), []).append(spec.name)
    return f"`{flag}` belongs to " + " and ".join(
        f"{kind} {names[0]} (plugin {plugin})"
        if len(names) == 1
        else f"{len(names)} {kind}s of plugin {plugin} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for (kind, plugin), names in groups.items()
    )
