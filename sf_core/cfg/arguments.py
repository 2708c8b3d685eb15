"""The two-pass command line, as scripts use it.

    parser, partial_cfg = parse_sf_args(argv)       # never exits: what is missing now may still be registered
    parser.add_argument("--my_flag", type=int, default=3)
    parser.set_defaults(gamma=0.995)
    cfg = parse_full_cfg(parser, argv)              # strict: one sentence and exit code 2 if something is wrong

Comes in: words of a command line, what a script adds, and through `settle` files, saved runs and plugins. Leaves: a
checked `Config` that knows where each value came from. Values win in this order, weakest first: defaults of the core
and of flags, defaults of the environment, the script's `set_defaults`, defaults of other chosen components, the preset,
the run that is continued, the configuration file, the command line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sf_core.cfg.checks import check
from sf_core.cfg.choice import stacked
from sf_core.cfg.component_flags import is_known_elsewhere, suggestion, unknown_flag_sentence
from sf_core.cfg.config import Config
from sf_core.cfg.layers import Layer, merge
from sf_core.cfg.option import Option
from sf_core.cfg.options import NOT_IN_CONFIG, core_groups, core_options
from sf_core.cfg.parser import SfArgumentParser
from sf_core.cfg.print_config import config_table
from sf_core.cfg.resume import values_to_continue
from sf_core.cfg.saved import config_path, read_config
from sf_core.cfg.settle import Settled, settle
from sf_core.plugins.manager import prescan
from sf_core.utils.errors import UsageError, report_usage_error
from sf_core.utils.log import log

__all__ = [
    "TwoPassParser",
    "checkpoint_override_defaults",
    "default_cfg",
    "full_cfg",
    "load_saved_cfg",
    "parse_full_cfg",
    "parse_sf_args",
]

_ABSENT = object()
_said: set[str] = set()  # flags whose missing effect has been mentioned in this process


class TwoPassParser(SfArgumentParser):
    """A parser that knows its argv, and shows the defaults in force after every `set_defaults` of the script."""

    def __init__(self, argv: Sequence[str], evaluation: bool) -> None:
        super().__init__(evaluation)
        self.argv = list(argv)
        self.saved_values: Mapping[str, Any] | None = None
        for group in core_groups(evaluation):
            self.add_option_group(group.name, group)

    def settle(self, argv: Sequence[str]) -> Settled:
        """Everything but the flags, as it stands now; the flags of the chosen components become this parser's."""
        settled = settle(argv, self.evaluation, self.script_defaults, self.saved_values)
        try:
            self.set_component_groups(settled.groups)
        except UsageError as error:
            settled.problems.append(error)
        layers = self.typed_layers(settled, [])
        self.show_defaults(*merge(layers))
        return settled

    def on_script_defaults(self) -> None:
        """Defaults of the script may choose other components and change what the others show."""
        self.settle(self.argv)

    def options(self, settled: Settled) -> dict[str, Option]:
        """Every option that is a flag here, by name."""
        return {**core_options(self.evaluation), **settled.component_options}

    def typed_layers(self, settled: Settled, problems: list[UsageError]) -> list[Layer]:
        """The layers below the command line, typed, with known names only; what is wrong goes to `problems`."""
        options, actions = self.options(settled), self.script_actions()
        typed = [Layer("default", "the script", self.declared_defaults())]
        for layer in settled.layers:
            values = {}
            for name, value in layer.values.items():
                said = f"{name}={value!r} in {layer.source}"
                try:
                    if name in options:
                        values[name] = options[name].convert(value, said)
                    elif name in actions:
                        values[name] = self.convert_for_script_action(actions[name], value, said)
                    else:
                        _check_known(name, layer, settled, [*options, *actions])
                except UsageError as error:
                    problems.append(error)
            if layer.origin == "saved":
                # What the run would have anyway keeps the origin that says why; layers come from weak to strong.
                anyway, _ = merge(stacked(typed))
                values = {name: value for name, value in values.items() if anyway.get(name, _ABSENT) != value}
            typed.append(Layer(layer.origin, layer.source, values))
        return stacked(typed)


def parse_sf_args(argv: Sequence[str] | None = None, evaluation: bool = False) -> tuple[TwoPassParser, Config]:
    """First pass: a parser that has the flags and defaults of everything chosen so far, and the values as they stand.

    Never exits and never raises for what a user typed; unknown environments, unknown flags, bad values and `-h` wait
    for `parse_full_cfg`.

    Args:
        argv: words after the program's name; `sys.argv[1:]` by default.
        evaluation: for sf-eval and sf-enjoy: adds their options, and the run's saved configuration is the base.

    Returns:
        parser: an `argparse.ArgumentParser` to add arguments and defaults to.
        partial_cfg: merged values; flags that a script adds later are not in it.
    """
    argv = _words(argv)
    parser = TwoPassParser(argv, evaluation)
    settled = parser.settle(argv)
    values, origins = merge([*parser.typed_layers(settled, []), Layer("cli", "the command line", settled.cli)])
    return parser, _config(values, origins)


def full_cfg(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> Config:
    """Second pass: parse strictly, merge, check. The library's form of `parse_full_cfg`.

    Raises:
        UsageError: anything that is wrong, as one sentence with the fix.
    """
    parser = _ours(parser)
    settled, cfg = _merged_cfg(parser, _words(argv))
    for spec in settled.choice.specs:
        settled.manager.check_available(spec, cfg)
    return cfg


def parse_full_cfg(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> Config:
    """Second pass: the configuration of the run, or one sentence on stderr and exit code 2.

    `-h` prints the help, with the options of the chosen components, and `--print_config` every value with its origin;
    both exit with 0 and write nothing. With `-v` the traceback is printed too.

    Args:
        parser: from `parse_sf_args`, with whatever a script added.
        argv: words after the program's name; `sys.argv[1:]` by default.
    """
    parser, argv = _ours(parser), _words(argv)
    try:
        asked = parser.settle(argv).cli
        if asked.get("help"):
            _print_help(parser, argv)
            sys.exit(0)
        if asked.get("print_config"):
            settled, cfg = _merged_cfg(parser, argv)
            print(config_table(cfg, settled.groups))
            sys.exit(0)
        return full_cfg(parser, argv)
    except UsageError as error:
        sys.exit(report_usage_error(error, verbose=prescan(argv)[2]))


def load_saved_cfg(train_dir: str | Path, experiment: str) -> Config:
    """The configuration of the run in `<train_dir>/<experiment>`, as it was; `UsageError` if there is none."""
    return read_config(config_path(train_dir, experiment).parent)


def checkpoint_override_defaults(cfg: Config, parser: argparse.ArgumentParser) -> Config:
    """Make the saved configuration of `cfg`'s run the base of `parser`, below the command line; returns the saved one.

    `parse_sf_args(evaluation=True)` does this for the run that the command line names; scripts that find their run in
    another way call it themselves, before `parse_full_cfg`.
    """
    parser = _ours(parser)
    saved = load_saved_cfg(cfg.train_dir, cfg.experiment)
    parser.saved_values = values_to_continue(saved, parser.evaluation)
    parser.settle(parser.argv)
    return saved


def default_cfg(algo: str = "APPO", env: str = "env", experiment: str = "test", **values: Any) -> Config:
    """The checked configuration of a run that says nothing, without looking at files; for tests and notebooks.

    Args:
        algo: as `--algo`.
        env: its defaults apply; a name that nobody knows is allowed and has none.
        experiment: as `--experiment`.
        values: further options, typed and checked as on a command line.
    """
    argv = [f"--algo={algo}", f"--env={env}", f"--experiment={experiment}"]
    settled = settle(argv, evaluation=False, read_saved=False)
    options = {**core_options(False), **settled.component_options}
    given = {}
    for name, value in values.items():
        if name not in options:
            raise UsageError(f"there is no option {name!r}{suggestion(name, options)}")
        given[name] = options[name].convert(value, f"{name}={value!r}")
    cli = {"algo": algo, "env": env, "experiment": experiment}
    merged, origins = merge([*settled.layers, Layer("script", "", given), Layer("cli", "", cli)])
    return check(_config({name: value for name, value in merged.items() if name in options}, origins))


def _merged_cfg(parser: TwoPassParser, argv: Sequence[str]) -> tuple[Settled, Config]:
    settled = parser.settle(argv)
    problems = settled.problems
    layers = parser.typed_layers(settled, problems)
    if problems:
        raise problems[0]
    cli, unknown = parser.parse_explicit(argv)
    if "plugins" in settled.cli:
        cli["plugins"] = settled.cli["plugins"]
    values, origins = merge([*layers, Layer("cli", "the command line", cli)])
    known = [*parser.options(settled), *parser.script_actions()]
    if unknown:
        raise UsageError(
            unknown_flag_sentence(unknown[0], known, settled.manager, parser.evaluation, str(values.get("env") or ""))
        )
    cfg = _config(values, origins)
    if not cfg.env:
        raise UsageError("no environment is named; add --env=NAME (`sf-list envs` shows those of the plugins here).")
    _say_what_is_automatic(cfg)
    return settled, check(cfg, evaluation=parser.evaluation)


def _check_known(name: str, layer: Layer, settled: Settled, known: Sequence[str]) -> None:
    """Refuse a name that no option has; names of options that are not active here are left out silently."""
    if layer.origin == "saved" or (layer.origin == "config" and name in core_options()):
        return  # a run may have had other plugins; a file may serve training and evaluation
    if layer.origin != "config" and is_known_elsewhere(name, settled.manager):
        return
    owner = settled.manager.owner_of_flag(f"--{name}") if layer.origin == "config" else None
    if owner:
        raise UsageError(f"{layer.source} has {name!r}, but {owner}, which was not chosen.")
    raise UsageError(f"{layer.source} has {name!r}, which is no option{suggestion(name, known)}")


def _say_what_is_automatic(cfg: Config) -> None:
    for name, option in core_options().items():
        if option.automatic and cfg.origins.get(name) in ("cli", "config", "script") and name not in _said:
            _said.add(name)
            log.warning("%s has no effect: %s.", option.flag, option.automatic)


def _print_help(parser: TwoPassParser, argv: Sequence[str]) -> None:
    settled = parser.settle(argv)
    if settled.choice.problems:
        raise settled.choice.problems[0]
    if not settled.cli.get("env"):
        parser.epilog = "Add --env=NAME to see its options and defaults too; `sf-list envs` shows the names."
    parser.print_help()


def _config(values: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    kept = {name: value for name, value in values.items() if name not in NOT_IN_CONFIG}
    return Config(kept, origins)


def _words(argv: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if argv is None else argv)


def _ours(parser: argparse.ArgumentParser) -> TwoPassParser:
    if not isinstance(parser, TwoPassParser):
        raise TypeError("this parser is not from parse_sf_args()")
    return parser
