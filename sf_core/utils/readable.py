"""Numbers and times as people write them."""

from __future__ import annotations

import math

UNKNOWN = "–"


def number(value: float) -> str:
    """A number as people write it: 12,345, 12.3, 0.0123, or – when there is none."""
    if not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def with_error(value: float, error: float, digits: int) -> str:
    """`12.34 ± 0.56`, or `12.34` alone where the error is not known."""
    return f"{value:.{digits}f} ± {error:.{digits}f}" if math.isfinite(error) else f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """`1:02:03`, or `3 d 4 h` when long, or – when unknown."""
    if not math.isfinite(seconds) or seconds > 100 * 365 * 86400:
        return UNKNOWN
    if seconds >= 86400:
        return f"{int(seconds // 86400)} d {int(seconds % 86400 // 3600)} h"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def age(seconds: float) -> str:
    """How long ago in one unit: `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`, or – when unknown."""
    if not math.isfinite(seconds):
        return UNKNOWN
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"
