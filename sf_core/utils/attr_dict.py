"""A dictionary whose keys read as attributes: what factories get as `env_config`."""

from __future__ import annotations

from typing import Any


class AttrDict(dict[str, Any]):
    """`d.key` is `d["key"]`; a missing key raises `AttributeError`, so `hasattr` and `getattr(d, k, default)` work."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no attribute or key {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no attribute or key {name!r}") from None

    def copy(self) -> AttrDict:
        """A shallow copy of the same class."""
        return type(self)(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default protocol asks the instance for __getstate__ and __setstate__; going through dict says it plainly.
        return type(self), (dict(self),)
