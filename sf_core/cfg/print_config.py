"""`--print_config`: every value with where it came from, as a table.

Comes in: a configuration and its options. Leaves: text.
"""

from __future__ import annotations

from collections.abc import Mapping

from sf_core.cfg.config import Config
from sf_core.cfg.flags import shown
from sf_core.cfg.option import OptionGroup
from sf_core.cfg.options import OPTION_GROUPS


def config_table(cfg: Config, component_groups: Mapping[str, OptionGroup] | None = None) -> str:
    """A line per option, under the heading of its group; `*` marks what is not a plain default.

    Args:
        cfg: the values.
        component_groups: heading -> options that components brought; what is in no group a script added.
    """
    groups = [*((group.name, group) for group in OPTION_GROUPS), *(component_groups or {}).items()]
    headings = {option.name: title for title, group in groups for option in group.options}
    order = {name: number for number, name in enumerate(headings)}
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for name in sorted(cfg, key=lambda name: order.get(name, len(order))):
        rows.setdefault(headings.get(name, "script"), []).append((name, shown(cfg[name]), _origin(cfg, name)))
    name_width = max(len(name) for name in cfg)
    value_width = min(32, max(len(row[1]) for group in rows.values() for row in group))
    lines = []
    for heading, group in rows.items():
        lines += ["", f"[{heading}]"]
        for name, value, origin in group:
            mark = " " if origin == "default" else "*"
            lines.append(f"{mark} {name:<{name_width}}  {value:<{value_width}}  {origin}")
    return "\n".join(lines[1:])


def _origin(cfg: Config, name: str) -> str:
    asked = cfg.requested.get(name)
    return cfg.origin(name) + (f" (asked for: {shown(asked[0])}, {asked[1]})" if asked else "")
