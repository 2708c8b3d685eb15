"""The flags that chosen components bring, and sentences about flags that nobody has.

Comes in: specs and their `Arg`s. Leaves: option groups, titled by component and owner, or a `UsageError` about two
components that want one flag to mean different things. This file does not know why these components were chosen.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sf_core.cfg.option import Option, OptionGroup, value_type_of
from sf_core.cfg.options import core_options
from sf_core.utils.errors import UsageError

if TYPE_CHECKING:
    from sf_core.plugins.manager import Manager
    from sf_core.plugins.specs import Arg, Spec


@dataclass(frozen=True)
class FlagOwner:
    """Who brings flags: `title` heads them in the help, "env my_maze, from plugin my_env"."""

    title: str
    args: tuple[Arg, ...]


def option_of(arg: Arg) -> Option:
    """The option behind a plugin's `Arg`; a list as default makes it take any number of values."""
    return Option(
        name=arg.name,
        type=value_type_of(arg.type),
        default=list(arg.default) if isinstance(arg.default, (list, tuple)) else arg.default,
        help=arg.help,
        choices=tuple(arg.choices or ()),
        many=isinstance(arg.default, (list, tuple)),
    )


def component_groups(owners: Iterable[FlagOwner]) -> dict[str, OptionGroup]:
    """Title -> options. Two owners may declare the same flag in the same way; it is then shown at the first.

    Raises:
        UsageError: a flag of the core, or one flag declared differently by two chosen components.
    """
    core = _flags_of(core_options())
    seen: dict[str, tuple[Arg, str]] = {}
    groups: dict[str, OptionGroup] = {}
    for owner in owners:
        new = []
        for arg in owner.args:
            if arg.flag in core:
                raise UsageError(
                    f"{owner.title}, declares {arg.flag}, which is a flag of sf_core; "
                    "a plugin gives it another value with `defaults`, or chooses another name."
                )
            first = seen.setdefault(arg.flag, (arg, owner.title))
            if first[0] is arg:
                new.append(option_of(arg))
            elif first[0] != arg:
                raise UsageError(
                    f"{arg.flag} is declared differently by {first[1]}, and by {owner.title}; "
                    "choose other components, or rename one of the flags."
                )
        if new:
            old = groups.get(owner.title)
            groups[owner.title] = OptionGroup(owner.title, "", (*(old.options if old else ()), *new))
    return groups


def unknown_flag_sentence(word: str, known: Iterable[str], manager: Manager, evaluation: bool, env: str) -> str:
    """What to say of a word on the command line that is no flag here; `known` are the names that would be."""
    if not word.startswith("-"):
        return f"{word!r} is no flag, and no flag before it takes it; options are written --name=value."
    flag = word.partition("=")[0]
    name = flag.lstrip("-").replace("-", "_")
    plain = name.removeprefix("no_")
    known = set(known)
    if not evaluation and name in core_options(True) and name not in core_options(False):
        return f"{flag} is a flag of sf-eval and sf-enjoy, not of training; leave it out."
    if plain in known and plain != name:
        return f"{flag} is no flag: --{plain} is one that has no opposite."
    owner = manager.owner_of_flag(f"--{name}")
    if owner:
        return f"{owner}; you selected {f'--env={env}' if env else 'no --env'}."
    failures = manager.failed_sentence()
    return f"unknown flag {flag}{suggestion(name, known, flag=True)}{failures and f' {failures}'}"


def suggestion(name: str, known: Iterable[str], flag: bool = False) -> str:
    """`"; did you mean 'gamma'?"`, or where to look if nothing is close."""
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.7)
    if not close:
        return "; --help lists what there is." if flag else "."
    names = " or ".join(f"--{other}" if flag else repr(other) for other in close)
    return f"; did you mean {names}?"


def is_known_elsewhere(name: str, manager: Manager) -> bool:
    """Whether some option of the core or of any loaded plugin has this name, though it may not be active here."""
    return name in core_options() or manager.owner_of_flag(f"--{name}") is not None


def _flags_of(options: Mapping[str, Option]) -> set[str]:
    flags: set[str] = set()
    for option in options.values():
        flags |= {option.flag, *option.short}
        if option.is_switch:
            flags.add(f"--no_{option.name}")
    return flags


def describe(spec: Spec) -> str:
    """A spec in a heading: "env my_maze, from plugin my_env"."""
    return f"{spec.kind.replace('_', '-')} {spec.name}, from plugin {spec.plugin}"
