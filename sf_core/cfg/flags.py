"""Options as flags of argparse: how a flag is added, read and shown in the help.

Comes in: an `Option`. Leaves: an argparse action that gives typed values or raises `UsageError`. This file does not
know scripts, components or sources other than the command line.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from sf_core.cfg.option import Option, split_list
from sf_core.utils.errors import UsageError

# argparse knows -1 and -1.5 as numbers; -1e-5 and -1_000 would read as unknown flags.
NEGATIVE_NUMBER = re.compile(r"^-(\d[\d_]*(\.[\d_]*)?|\.\d+)([eE][+-]?\d+)?$")


class OptionAction(argparse.Action):
    """Reads one `Option` from the command line; a bad value raises `UsageError`, which argparse lets through."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, option: Option, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, **kwargs)
        self.option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the typed value, or add it to those before if the option may be repeated."""
        value = self.read(values, option_string or self.option.flag)
        if self.option.append:
            value = [*getattr(namespace, self.dest, []), *value]
        setattr(namespace, self.dest, value)

    def read(self, values: Any, flag: str) -> Any:
        """The typed value of the texts after `flag`."""
        option = self.option
        if option.is_switch:
            negated = flag.startswith("--no_") and flag != option.flag
            if values is None:
                return not negated
            if negated:
                raise UsageError(f"{flag}={values}: {flag} takes no value; write {flag} or {option.flag}={values}.")
            return option.convert(values, f"{flag}={values}")
        if option.many:
            if option.optional and values == ["none"]:
                return None
            return option.convert(split_list(values))
        if values is None:
            raise UsageError(f"{flag} needs a value ({option.type.noun}): {flag}={option.type.metavar}")
        return option.convert([values] if option.append else values, f"{flag}={values}")


class LenientParser(argparse.ArgumentParser):
    """Reads flags without ever objecting: a first look at an argv whose other flags are not known yet."""

    def __init__(self, options: Iterable[Option]) -> None:
        super().__init__(allow_abbrev=False, add_help=False)
        self._negative_number_matcher = NEGATIVE_NUMBER
        for option in options:
            add_option(self, option, lenient=True)

    def read(self, argv: Sequence[str]) -> dict[str, Any]:
        """Name -> typed value of every flag whose value can be read; the others are left out."""
        try:
            return vars(self.parse_known_args(list(argv))[0])
        except argparse.ArgumentError:
            return {}

    def error(self, message: str) -> NoReturn:
        """Never ends the process."""
        raise argparse.ArgumentError(None, message)


class _LenientAction(OptionAction):
    def read(self, values: Any, flag: str) -> Any:
        try:
            return super().read(values, flag)
        except UsageError:
            return argparse.SUPPRESS

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if self.read(values, option_string or self.option.flag) is not argparse.SUPPRESS:
            super().__call__(parser, namespace, values, option_string)


class HelpFormatter(argparse.HelpFormatter):
    """Narrow flag column, so that the explanations are what one reads."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, **{"max_help_position": 32, **kwargs})

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not isinstance(action, OptionAction):
            return super()._format_action_invocation(action)
        option = action.option
        flag, short = option.flag, [word for word in option.short if not word.startswith("--")]
        if option.is_switch:
            negatable = f"--no_{option.name}" in action.option_strings
            return ", ".join([*short, f"--[no_]{option.name}" if negatable else flag])
        return f"{', '.join([*short, flag])} {option.type.metavar}{' ...' if option.many else ''}"


def add_option(container: argparse._ActionsContainer, option: Option, lenient: bool = False) -> None:
    """Give the container the flags of an option; a `lenient` one drops a bad value instead of objecting."""
    flags = [*(short for short in option.short if not short.startswith("--")), option.flag]
    flags += [short for short in option.short if short.startswith("--")]
    if option.is_switch and not option.name.startswith("no_") and option.name != "help":
        flags.append(f"--no_{option.name}")
    container.add_argument(
        *flags,
        action=_LenientAction if lenient else OptionAction,
        option=option,
        dest=option.name,
        nargs="*" if option.many else "?",
        metavar=option.type.metavar,
        default=argparse.SUPPRESS if lenient else option.default,
        help=help_line(option, option.default, "default"),
    )


def help_line(option: Option, value: Any, origin: str) -> str:
    """What `--help` says of an option whose default in force is `value`, from `origin`."""
    parts = [option.help]
    if option.choices:
        parts.append(f"one of {', '.join(map(str, option.choices))}")
    if option.automatic:
        parts = [f"no effect: {option.automatic}"]
    elif option.unavailable and option.type.metavar == "BOOL":
        parts = [option.unavailable]
    elif option.name not in ("help", "print_config"):
        parts.append(f"default {shown(value)}" + (f", from {origin}" if origin != "default" else ""))
    return "; ".join(part for part in parts if part).replace("%", "%%")


def shown(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, list):
        return " ".join(map(str, value)) or "empty"
    if value is None:
        return "none"
    return str(value) if value != "" else "''"
