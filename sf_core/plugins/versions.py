"""Does a version satisfy a demand like `>=0.5,<0.7`? Enough of it for a hint in a message, without a dependency."""

from __future__ import annotations

import re


def satisfies(version: str, demand: str) -> bool:
    """Whether `version` meets every clause of `demand`; a clause that is not understood counts as met."""
    return all(_clause(version, clause.strip()) for clause in demand.split(",") if clause.strip())


def _clause(version: str, clause: str) -> bool:
    match = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)\s*([\d.]+?)(\.\*)?", clause)
    if not match:
        return True
    operator, wanted_text, wildcard = match.groups()
    have, wanted = _numbers(version), _numbers(wanted_text)
    if wildcard or operator == "~=":
        prefix = wanted if wildcard else wanted[:-1]
        same = have[: len(prefix)] == prefix
        if operator == "~=":
            return same and have >= wanted
        return same if operator == "==" else not same
    length = max(len(have), len(wanted))
    have, wanted = (numbers + (0,) * (length - len(numbers)) for numbers in (have, wanted))
    return {
        ">=": have >= wanted,
        "<=": have <= wanted,
        "==": have == wanted,
        "!=": have != wanted,
        ">": have > wanted,
        "<": have < wanted,
    }[operator]


def _numbers(version: str) -> tuple[int, ...]:
    """The release part: `0.4.1rc1` gives `(0, 4, 1)`."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[a-z+-]", version, maxsplit=1)[0]))
