"""The table of every option of the core, in the order of `--help`.

Comes in: the groups of `sf_core.cfg.groups`. Leaves: `OPTION_GROUPS`, and lookups by name. Names, meaning and defaults
are those of Sample Factory wherever it has the option; each deliberate difference is written at the option
(`Option.differs`) or, where it concerns all of them, in `GENERAL_DIFFERENCES`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sf_core.cfg.groups import basic, evaluating, learning, model, running, sampling
from sf_core.cfg.option import Option, OptionGroup

OPTION_GROUPS: tuple[OptionGroup, ...] = (
    basic.RUN,
    basic.CONFIGURATION,
    basic.COMPONENTS,
    sampling.ENGINE,
    sampling.ENVIRONMENT,
    learning.DATA,
    learning.LOSSES,
    learning.OPTIMIZER,
    learning.NORMALIZATION,
    model.MODEL,
    running.STOPPING,
    running.REPORTING,
    running.CHECKPOINTS,
    evaluating.WHILE_TRAINING,
    running.EVALUATION,
    running.WANDB,
    running.POPULATION,
)

NOT_IN_CONFIG = ("help", "print_config")  # they ask for an answer and describe no run

GENERAL_DIFFERENCES: tuple[tuple[str, str], ...] = (
    ("True or False", "also `--flag` and `--no_flag`, and the words yes, no, on, off"),
    ("integers", "also `1e7` and `10_000_000`"),
    ("lists", "also with commas (`--encoder_mlp_layers=512,512`); `--flag=` is the empty list"),
    ("values that may be unset", "the word `none` unsets them"),
    ("abbreviations", "a flag is written in full; there, an unambiguous beginning is enough"),
    ("bad values", "are refused before anything is started or written, in one sentence, with exit code 2"),
    ("resuming", "`config.json` also says where each value came from; the command line wins over it"),
    ("exit codes", "130 after an interruption that was saved (there: 2), 2 for a command line that is not understood"),
)


def core_groups(evaluation: bool) -> tuple[OptionGroup, ...]:
    """The groups that a command offers: those of evaluation only where something is evaluated."""
    return tuple(group for group in OPTION_GROUPS if evaluation or group is not running.EVALUATION)


@cache
def core_options(evaluation: bool = True) -> dict[str, Option]:
    """Option by name, in the order of the table."""
    return {option.name: option for group in core_groups(evaluation) for option in group.options}


def core_defaults(evaluation: bool = False) -> dict[str, Any]:
    """The default of every option that belongs in a configuration; lists are fresh."""
    return {
        option.name: list(option.default) if isinstance(option.default, list) else option.default
        for option in core_options(evaluation).values()
        if option.name not in NOT_IN_CONFIG
    }
