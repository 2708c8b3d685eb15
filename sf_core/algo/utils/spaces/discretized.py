"""`Discretized`, where scripts written for Sample Factory import it from; loads Gymnasium when it is asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["Discretized"]  # noqa: F822  found by __getattr__


def __getattr__(name: str) -> Any:
    if name == "Discretized":
        from sf_core.envs.discretized import Discretized

        return Discretized
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
