"""A name becomes a component, or a sentence that says why not.

Comes in: the components of one kind, and what the user typed. Leaves: the chosen spec. The answer depends on names and
declarations alone, never on the order in which plugins were found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sf_core.plugins.discovery import LOADED, PluginRecord
from sf_core.plugins.requests import did_you_mean
from sf_core.utils.errors import UsageError

GYMNASIUM_FAMILY = "gym:"
_GYMNASIUM_ID = re.compile(r".*[:/].*|.*-v\d+")


class ComponentError(UsageError):
    """A component's name is unknown or ambiguous; the message lists what could have been meant."""


@dataclass(frozen=True)
class Choice:
    """The outcome for one bare name.

    Attributes:
        winner: the spec that the bare name means; None if that is ambiguous.
        rivals: other specs with this name.
        reason: why it won: "" (no rival), "explicit" or "replaces".
    """

    winner: Any
    rivals: tuple[Any, ...] = ()
    reason: str = ""


def choose(specs: Sequence[Any], records: dict[str, PluginRecord]) -> Choice:
    """Which of several components with one name the bare name means."""
    if len(specs) == 1:
        return Choice(specs[0])
    explicit = [spec for spec in specs if records[spec.plugin].explicit]
    if len(explicit) == 1:
        return _won(explicit[0], specs, "explicit")
    if not explicit:
        replaced = {spec.replaces for spec in specs if spec.replaces}
        standing = [spec for spec in specs if spec.qualified not in replaced]
        if len(standing) == 1:
            return _won(standing[0], specs, "replaces")
    return Choice(None, tuple(specs))


def by_name(specs: Iterable[Any]) -> dict[str, list[Any]]:
    """Components grouped by bare name."""
    groups: dict[str, list[Any]] = {}
    for spec in specs:
        groups.setdefault(spec.name, []).append(spec)
    return groups


def find(kind: str, name: str, specs: Sequence[Any], records: dict[str, PluginRecord], prefer: str = "") -> Choice:
    """Resolve an exact or qualified name; `Choice(None)` without rivals means that nobody has it.

    `prefer` is a plugin whose own component wins over others of the same name: an env's defaults mean the parts that
    come with that env, whatever else is installed.

    Raises:
        ComponentError: the bare name is ambiguous.
    """
    same = [spec for spec in specs if spec.name == name]
    if same:
        preferred = [spec for spec in same if spec.plugin == prefer]
        choice = Choice(preferred[0]) if preferred else choose(same, records)
        if choice.winner is None:
            raise ComponentError(_ambiguous(kind, name, same, records))
        return choice
    plugin, slash, rest = name.partition("/")
    if slash and plugin in records:
        for spec in specs:
            if spec.plugin == plugin and spec.name == rest:
                return Choice(spec)
    return Choice(None)


def find_env(name: str, specs: Sequence[Any], records: dict[str, PluginRecord]) -> tuple[Choice, str]:
    """Resolve what `--env` holds: exact, qualified, a family's member, a Gymnasium id.

    Returns:
        the choice, and the name that the env's factory receives: without the plugin's name.

    Raises:
        ComponentError: the name is ambiguous, or of a plugin that has no such env.
    """
    choice = find("env", name, specs, records)
    plugin, slash, rest = name.partition("/")
    qualified = bool(slash) and plugin in records
    if choice.winner is not None:
        return choice, choice.winner.name
    families = [spec for spec in specs if spec.family]
    if qualified:
        own = [spec for spec in families if spec.plugin == plugin and rest.startswith(spec.name)]
        if own:
            return _member(Choice(max(own, key=lambda spec: len(spec.name))), rest, specs)
    prefixes = {spec.name for spec in families if name.startswith(spec.name) and name != spec.name}
    if prefixes:
        longest = max(prefixes, key=len)
        return _member(find("env", longest, families, records), name, specs)
    if qualified and not re.fullmatch(r".*-v\d+", name):
        return Choice(None), name
    if _GYMNASIUM_ID.fullmatch(name):
        return find("env", f"core/{GYMNASIUM_FAMILY}", families, records), name
    return Choice(None), name


def _member(family: Choice, name: str, specs: Sequence[Any]) -> tuple[Choice, str]:
    """A member of a family: the spec that says more of it where there is one (`gym:CartPole-v1` is `CartPole-v1`)."""
    if family.winner is not None:
        rest, owner, factory = name.removeprefix(family.winner.name), family.winner.plugin, family.winner.factory
        for spec in specs:
            if (spec.name, spec.plugin, spec.factory) == (rest, owner, factory):
                return Choice(spec), spec.name
    return family, name


def unknown(kind: str, name: str, specs: Sequence[Any], records: dict[str, PluginRecord], failures: str) -> str:
    """The sentence for a name that nobody has: close names, and the plugins that are not there."""
    plugin, slash, rest = name.partition("/")
    if slash and plugin in records:
        record = records[plugin]
        if record.status not in LOADED:
            return f"{kind} {name!r}: {record.described} is {record.status}: {'; '.join(record.problems)}"
        own = [spec.name for spec in specs if spec.plugin == plugin]
        sentence = f"plugin {plugin} has no {kind} {rest!r}"
        sentence += did_you_mean(rest, own) or (
            f"; it offers {', '.join(own[:5])}." if own else f"; it offers no {kind}."
        )
        if record.status == "degraded":
            sentence += f" It was loaded in part: {'; '.join(record.problems)}."
        return sentence
    close = did_you_mean(name, (spec.name for spec in specs)) or did_you_mean(name, (s.qualified for s in specs))
    sentence = f"unknown {kind} {name!r}{close or f'; `sf-list {kind}s` shows what there is.'.replace('_', '-')}"
    return f"{sentence} {failures}".strip()


def _won(winner: Any, specs: Sequence[Any], reason: str) -> Choice:
    return Choice(winner, tuple(spec for spec in specs if spec is not winner), reason)


def _ambiguous(kind: str, name: str, specs: Sequence[Any], records: dict[str, PluginRecord]) -> str:
    def owner(spec: Any) -> str:
        record = records[spec.plugin]
        return f"{spec.qualified} ({record.distribution or record.entry_point})"

    owners = ", ".join(owner(spec) for spec in specs)
    return (
        f"{kind} {name!r} is provided by several plugins: {owners}. "
        "Use the qualified name, or block one with -p no:NAME."
    )
