"""One flag as data: its name, the values it takes, its default and its words.

Comes in: a text from the command line, or a value from a TOML file, a preset, a plugin's defaults or a saved run.
Leaves: the typed value, or a `UsageError` whose sentence names the place the value came from. This file does not know
which flags exist, nor which source wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sf_core.utils.errors import UsageError

AUTO = "auto"


@dataclass(frozen=True)
class ValueType:
    """How one kind of value is read; `convert` takes a text or a value and raises `ValueError` if it cannot."""

    noun: str  # "an integer", for sentences and the table of options
    metavar: str
    convert: Callable[[Any], Any]


def to_bool(value: Any) -> bool:
    """True and False, also as the words true/false, yes/no, on/off, 1/0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
    raise ValueError(value)


def to_int(value: Any) -> int:
    """An integer, also as `10_000_000`, `1e7` or 1e7."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(value)


def to_float(value: Any) -> float:
    """A real number; not-a-number is refused, since no option means anything by it."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        number = float(value)
        if number == number:
            return number
    raise ValueError(value)


def to_str(value: Any) -> str:
    """A text as it is."""
    if isinstance(value, str):
        return value
    raise ValueError(value)


def to_int_or_auto(value: Any) -> int | str:
    """An integer, or the word auto."""
    return AUTO if isinstance(value, str) and value.strip().lower() == AUTO else to_int(value)


def to_table(value: Any) -> dict[str, Any]:
    """A JSON object, or a mapping."""
    table = json.loads(value) if isinstance(value, str) else value
    if isinstance(table, Mapping):
        return dict(table)
    raise ValueError(value)


BOOL = ValueType("True or False", "BOOL", to_bool)
INT = ValueType("an integer", "INT", to_int)
FLOAT = ValueType("a number", "NUMBER", to_float)
STR = ValueType("a text", "TEXT", to_str)
TABLE = ValueType('a JSON object, such as {"name": 1.5}', "JSON", to_table)
INT_OR_AUTO = ValueType("an integer or the word auto", "INT|auto", to_int_or_auto)


def value_type_of(function: Callable[[Any], Any]) -> ValueType:
    """The value type behind a plugin's `Arg(type=...)`; an unknown callable reads texts and leaves the rest alone."""
    known: Mapping[Any, ValueType] = {bool: BOOL, int: INT, float: FLOAT, str: STR}
    if function in known:
        return known[function]
    name = getattr(function, "__name__", "value").lstrip("_")
    return ValueType(
        f"accepted by {name}()", name.upper(), lambda value: function(value) if isinstance(value, str) else value
    )


@dataclass(frozen=True, kw_only=True)
class Option:
    """One flag.

    Attributes:
        name: its name in the configuration; the flag is `--name`.
        type: how one value is read; with `many`, how each of several is.
        default: the value when nobody says anything; None means "not set" and is then a value the option accepts.
        help: one line.
        choices: the values it accepts, nothing means any.
        many: takes any number of values (`--x 1 2`, `--x=1,2`, `--x=` for none).
        append: may be repeated, each time adding a value.
        short: short spellings (`-v`), or other long ones.
        low, high: bounds that are themselves allowed; `above`: a bound that is not.
        evaluation: exists only for sf-eval and sf-enjoy.
        per_command: belongs to one command, not to the run: a resumed run does not bring it back.
        automatic: why the flag has nothing left to do; it is accepted, and this is said once.
        unavailable: why any value but the default is refused for now.
        differs: how it deliberately differs from Sample Factory's flag; starts with "new" if there is none.
    """

    name: str
    type: ValueType
    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    many: bool = False
    append: bool = False
    short: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    evaluation: bool = False
    per_command: bool = False
    automatic: str = ""
    unavailable: str = ""
    differs: str = ""

    @property
    def flag(self) -> str:
        """The flag as it is typed."""
        return f"--{self.name}"

    @property
    def is_switch(self) -> bool:
        """Whether `--flag` alone means True."""
        return self.type is BOOL and not self.many

    @property
    def optional(self) -> bool:
        """Whether None is a value; on the command line and in TOML files it is written `none`."""
        return self.default is None

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return self.many or self.append

    def convert(self, value: Any, said: str = "") -> Any:
        """The typed value of `value`, or a `UsageError`; `said` says how to quote it: `"gamma='x' in run.toml"`."""
        if self.optional and (value is None or (isinstance(value, str) and value.strip().lower() == "none")):
            return None
        if not self.is_list:
            return self._convert_one(value, said or f"{self.flag}={value}")
        items: Sequence[Any]
        if isinstance(value, str):
            items = [value] if self.append else split_list([value])
        elif isinstance(value, (list, tuple)):
            items = value
        else:
            raise UsageError(f"{said or f'{self.flag}={value}'} is not a list; write [{value}].")
        return [self._convert_one(item, said or f"{item} in {self.flag}") for item in items]

    def _convert_one(self, value: Any, said: str) -> Any:
        try:
            converted = self.type.convert(value)
        except (ValueError, TypeError, OverflowError):
            raise UsageError(f"{said} is not {self.type.noun}.") from None
        if self.choices and converted not in self.choices:
            raise UsageError(f"{said} is not one of {', '.join(map(str, self.choices))}.")
        if isinstance(converted, (int, float)) and not isinstance(converted, bool):
            self._check_bounds(converted, said)
        return converted

    def _check_bounds(self, number: float, said: str) -> None:
        if self.low is not None and self.high is not None and not self.low <= number <= self.high:
            raise UsageError(f"{said} is not between {self.low:g} and {self.high:g}.")
        if self.low is not None and number < self.low:
            raise UsageError(f"{said} is too small; the smallest value is {self.low:g}.")
        if self.above is not None and number <= self.above:
            raise UsageError(f"{said} is too small; it must be above {self.above:g}.")
        if self.high is not None and number > self.high:
            raise UsageError(f"{said} is too large; the largest value is {self.high:g}.")


@dataclass(frozen=True)
class OptionGroup:
    """Options that belong together in `--help`, in the printed configuration and in the documentation."""

    name: str
    summary: str
    options: tuple[Option, ...]


def split_list(texts: Sequence[str]) -> list[str]:
    """`["512", "256"]` and `["512,256"]` are the same two items, `[""]` is none: no item has a comma in it."""
    return [item.strip() for text in texts for item in text.split(",") if item.strip()]
