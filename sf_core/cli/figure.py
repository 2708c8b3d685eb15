"""Draws learning curves: a row of panels for each environment, over steps and over time.

In: groups of curves. Out: a picture in a file. The only file that imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sf_core.cli.curves import Group, band_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind people can tell apart; the yellow one is too pale for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")
_PANEL_INCHES = (5.2, 3.4)
_MOST_IN_PANEL = 4  # entries of a legend that still fits between the curves
_COLUMNS = {"steps": ("env_steps",), "time": ("seconds",), "both": ("env_steps", "seconds")}
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def draw(groups: Sequence[Group], path: Path, *, axes: str, value_label: str, title: str = "") -> None:
    """Write the picture to `path`, whose suffix says in which format.

    Raises:
        ValueError: no such format.
    """
    from matplotlib.figure import Figure

    envs = list(dict.fromkeys(group.env for group in groups))
    columns = _COLUMNS[axes]
    width, height = _PANEL_INCHES[0] * len(columns), _PANEL_INCHES[1] * len(envs)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(len(envs), len(columns), squeeze=False, sharey="row")
    for row, env in zip(panels, envs, strict=True):
        of_env = [group for group in groups if group.env == env]
        for panel, column in zip(row, columns, strict=True):
            unit_s = _dress(panel, of_env, column)
            for index, group in enumerate(of_env):
                _draw_group(panel, group, column, unit_s, _look(index))
        row[0].set_title(_verbatim(env), loc="left", fontweight="bold")
        row[0].set_ylabel(value_label)
        if len(of_env) <= _MOST_IN_PANEL:
            row[0].legend(frameon=False)
        else:
            row[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    if title:
        figure.suptitle(title)
    for panel in panels.flat:
        panel.set_xlim(left=0.0)
    figure.savefig(path, dpi=150)


def _draw_group(panel: Axes, group: Group, column: str, unit: float, look: dict[str, Any]) -> None:
    """The mean with its band, and every run on its own, paler; of one run its curve alone. One report is a dot."""
    band = band_of(group.curves, column)
    many = len(group.curves) > 1
    label = _verbatim(f"{group.label} ({len(group.curves)} runs)" if many else group.label)
    for index, curve in enumerate(group.curves):
        alone = {"linewidth": 0.7, "alpha": 0.3} if band else {"linewidth": 1.6}
        name = label if band is None and index == 0 else "_"
        panel.plot(getattr(curve, column) / unit, curve.value, label=name, **_dot(curve.value), **(look | alone))
    if band:
        panel.plot(band.x / unit, band.mean, label=label, linewidth=2.0, **_dot(band.x), **look)
        panel.fill_between(band.x / unit, band.low, band.high, color=look["color"], alpha=0.2, linewidth=0)
        if len(band.x) == 1:
            panel.vlines(band.x / unit, band.low, band.high, color=look["color"], alpha=0.4, linewidth=6)


def _dress(panel: Axes, groups: Sequence[Group], column: str) -> float:
    """Everything but curves; returns the unit of the horizontal axis."""
    from matplotlib.ticker import EngFormatter

    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)
    panel.margins(x=0.01)
    if column == "env_steps":
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.set_xlabel("environment steps")
        return 1.0
    longest_s = max(curve.seconds[-1] for group in groups for curve in group.curves)
    name, unit_s = next((unit for unit in _UNITS if longest_s >= 2 * unit[1]), _UNITS[-1])
    panel.set_xlabel(f"training time [{name}]")
    return unit_s


def _verbatim(name: str) -> str:
    """A name as it is: text between dollars would be set as a formula, and what begins with `_` left out."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _dot(values: np.ndarray) -> dict[str, Any]:
    """A line through one point is nothing that could be seen."""
    return {"marker": "o", "clip_on": False} if len(values) == 1 else {}


def _look(index: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _STYLES[index // len(_COLOURS) % len(_STYLES)],
    }
