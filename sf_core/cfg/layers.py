"""Which value wins: sources from weak to strong, merged into values and their origins.

Comes in: layers of already typed values. Leaves: one value per name and the origin of the layer that gave it. This file
does not know what the names mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Layer:
    """Values from one source.

    Attributes:
        origin: its word in `config.json`, one of `sf_core.cfg.config.ORIGINS`.
        source: the source in a sentence: "run.toml", "env my_maze (plugin my_env)".
        values: name -> value, typed or not.
    """

    origin: str
    source: str
    values: Mapping[str, Any]


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values and origins; layers come from weak to strong."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.values.items():
            values[name] = list(value) if isinstance(value, list) else value
            origins[name] = layer.origin
    return values, origins
