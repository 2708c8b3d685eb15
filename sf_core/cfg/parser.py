"""The `ArgumentParser` that scripts receive: a real one, filled from options, that remembers what scripts add to it.

Comes in: option groups, effective defaults, an argv. Leaves: the values that the argv names, and nothing that it does
not name, so that whoever merges can tell a typed value from a default. This file does not know where defaults come
from, and it never ends the process while this package is parsing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from sf_core.cfg.flags import NEGATIVE_NUMBER, HelpFormatter, OptionAction, add_option, help_line
from sf_core.cfg.option import OptionGroup
from sf_core.utils.errors import UsageError


class SfArgumentParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` without abbreviations and without exits while `parse_explicit` is at work.

    Attributes:
        evaluation: whether the options of sf-eval and sf-enjoy are among them.
        script_defaults: what scripts gave to `set_defaults`.
    """

    def __init__(self, evaluation: bool = False, prog: str | None = None) -> None:
        super().__init__(
            prog=prog or program_name(evaluation),
            usage="%(prog)s --env=NAME [--option=value ...]" if not evaluation else "%(prog)s --experiment=NAME [...]",
            allow_abbrev=False,
            add_help=False,
            formatter_class=HelpFormatter,
        )
        self._negative_number_matcher = NEGATIVE_NUMBER
        self.evaluation = evaluation
        self.script_defaults: dict[str, Any] = {}
        self._component_groups: dict[str, tuple[OptionGroup, argparse._ArgumentGroup]] = {}
        self._declared: dict[str, Any] = {}  # default of each flag that a script added, before we show merged ones
        self._effective: dict[str, Any] = {}
        self._raising = False

    # ---- what scripts call ----

    def set_defaults(self, **kwargs: Any) -> None:
        """Defaults of the script: above those of the environment, below presets, files and the command line."""
        self.script_defaults.update(kwargs)
        self._remember_declared()
        for name, value in kwargs.items():
            if name not in self._effective:
                super().set_defaults(**{name: value})
        self.on_script_defaults()

    def on_script_defaults(self) -> None:
        """Called after `set_defaults`; replaced by whoever keeps the effective defaults up to date."""

    def error(self, message: str) -> NoReturn:
        """A sentence and exit code 2; while this package is parsing, a `UsageError` instead."""
        if self._raising:
            raise UsageError(message if message.endswith(".") else f"{message}.")
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        sys.exit(2)

    # ---- filling ----

    def add_option_group(self, title: str, group: OptionGroup, *, component: bool = False) -> None:
        """Add the flags of a group under its own heading of `--help`."""
        argument_group = self.add_argument_group(title, group.summary)
        if component:
            self._component_groups[title] = (group, argument_group)
        for option in group.options:
            try:
                add_option(argument_group, option)
            except argparse.ArgumentError as error:
                raise UsageError(f"{title}: {option.flag} is also a flag of the script; rename one of them.") from error

    def set_component_groups(self, groups: Mapping[str, OptionGroup]) -> None:
        """Make the flags of the chosen components exactly these: title of the group -> group."""
        present = {title: group for title, (group, _) in self._component_groups.items()}
        if present == dict(groups):
            return
        for title in list(self._component_groups):
            self._drop_component_group(title)
        for title, group in groups.items():
            self.add_option_group(title, group, component=True)

    def _drop_component_group(self, title: str) -> None:
        # argparse can add but not remove; these three containers are all that it keeps of a group.
        _, argument_group = self._component_groups.pop(title)
        for action in list(argument_group._group_actions):
            self._actions.remove(action)
            for flag in action.option_strings:
                self._option_string_actions.pop(flag, None)
        self._action_groups.remove(argument_group)

    # ---- looking at what scripts added ----

    def script_actions(self) -> dict[str, argparse.Action]:
        """The arguments that a script added: name -> action."""
        self._remember_declared()
        return {action.dest: action for action in self._actions if not isinstance(action, OptionAction)}

    def declared_defaults(self) -> dict[str, Any]:
        """The defaults of those, typed as argparse types them; one that says SUPPRESS has none."""
        typed = {}
        for name, action in self.script_actions().items():
            default = self._declared[name]
            if default is not argparse.SUPPRESS:
                typed[name] = self._get_value(action, default) if isinstance(default, str) else default
        return typed

    def convert_for_script_action(self, action: argparse.Action, value: Any, said: str) -> Any:
        """A value from a file or a saved run, typed and checked as the script's flag would be."""
        try:
            items = value if isinstance(value, list) else [value]
            typed = [self._get_value(action, item) if isinstance(item, str) else item for item in items]
            for item in typed:
                self._check_value(action, item)
        except argparse.ArgumentError as error:
            raise UsageError(f"{said}: {error.message}.") from None
        return typed if isinstance(value, list) else typed[0]

    def _remember_declared(self) -> None:
        for action in self._actions:
            if not isinstance(action, OptionAction):
                self._declared.setdefault(action.dest, action.default)

    # ---- parsing ----

    def show_defaults(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        """Make `get_default`, plain `parse_args` and the help show these defaults."""
        self._remember_declared()
        self._effective = dict(values)
        for action in self._actions:
            if action.dest not in values:
                continue
            action.default = values[action.dest]
            if isinstance(action, OptionAction):
                action.help = help_line(action.option, values[action.dest], origins.get(action.dest, "default"))

    def parse_explicit(self, argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """The values that `argv` names, and the words of it that are no flag of ours; raises `UsageError`."""
        with self._defaults_out_of_the_way():
            namespace, unknown = self.parse_known_args(list(argv))
        return vars(namespace), unknown

    @contextmanager
    def _defaults_out_of_the_way(self) -> Iterator[None]:
        self._remember_declared()
        shown = [(action, action.default) for action in self._actions]
        defaults, self._defaults, self._raising = self._defaults, {}, True
        for action in self._actions:
            action.default = argparse.SUPPRESS
        try:
            yield
        finally:
            for action, default in shown:
                action.default = default
            self._defaults, self._raising = defaults, False


def program_name(evaluation: bool) -> str:
    """What the user called, as far as it can be told: a script's name, or the command that does this work."""
    name = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    if name in ("", "-", "-c", "__main__.py"):
        return "sf-eval" if evaluation else "sf-train"
    return name
