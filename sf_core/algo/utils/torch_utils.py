"""`calc_num_elements`, where scripts written for Sample Factory import it from; loads torch when it is asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["calc_num_elements"]  # noqa: F822  found by __getattr__


def __getattr__(name: str) -> Any:
    if name == "calc_num_elements":
        from sf_core.model.layers import calc_num_elements

        return calc_num_elements
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
