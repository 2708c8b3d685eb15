"""The configuration of one run: read-only values, and where each of them came from.

Comes in: merged, typed values. Leaves: `Config`, which env factories, models and workers read. It does not know the
options, how values were merged, or what they mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NoReturn

from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

# From weak to strong. "engine" and "auto" come after everything that was asked for: they say what was made of it.
ORIGINS = ("default", "env", "script", "component", "preset", "saved", "config", "cli", "engine", "auto")
DERIVED = ("engine", "auto")


class Config(AttrDict):
    """Options as attributes and as items; nothing can be assigned, `replace` makes a changed copy.

    Attributes:
        origins: name -> one of `ORIGINS`.
        requested: for values that the engine or a check has decided, what was asked for: name -> (value, origin).
    """

    __slots__ = ("_origins", "_requested")

    _origins: dict[str, str]
    _requested: dict[str, tuple[Any, str]]

    def __init__(
        self,
        values: Mapping[str, Any],
        origins: Mapping[str, str] | None = None,
        requested: Mapping[str, tuple[Any, str]] | None = None,
    ) -> None:
        """Values without an origin are defaults."""
        super().__init__(values)
        origins = origins or {}
        object.__setattr__(self, "_origins", {name: origins.get(name, "default") for name in values})
        object.__setattr__(self, "_requested", {name: (pair[0], pair[1]) for name, pair in (requested or {}).items()})

    @property
    def origins(self) -> dict[str, str]:
        """Where each value came from."""
        return dict(self._origins)

    @property
    def requested(self) -> dict[str, tuple[Any, str]]:
        """What was asked for where a value was derived."""
        return dict(self._requested)

    def origin(self, name: str) -> str:
        """Where the value of `name` came from."""
        return self._origins[name]

    def replace(self, origin: str, **values: Any) -> Config:
        """A copy with other values, which all get `origin`; an unknown name raises `UsageError`.

        With the origins "engine" and "auto" the copy remembers what was asked for, so that a resumed run derives anew.
        """
        if origin not in ORIGINS:
            raise ValueError(f"origin={origin!r} is none of {', '.join(ORIGINS)}")
        requested = self.requested
        for name in values:
            if name not in self:
                close = difflib.get_close_matches(name, self, n=1)
                raise UsageError(
                    f"the configuration has no option {name!r}{f'; did you mean {close[0]!r}?' if close else '.'}"
                )
            if origin not in DERIVED:
                requested.pop(name, None)
            elif name not in requested:
                requested[name] = (self[name], self._origins[name])
        return Config({**self, **values}, {**self._origins, **dict.fromkeys(values, origin)}, requested)

    def copy(self) -> Config:
        """A copy with its own dictionary."""
        return Config(self, self._origins, self._requested)

    def __reduce__(self) -> tuple[Any, ...]:
        return Config, (dict(self), self._origins, self._requested)

    def __repr__(self) -> str:
        return f"Config({dict(self)!r})"

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError('a configuration is read-only; use cfg = cfg.replace("script", name=value)')

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _refuse
    update = setdefault = clear = __ior__ = _refuse
    pop = popitem = _refuse
