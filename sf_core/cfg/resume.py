"""What a run that exists already brings to the next command: which of its saved values come back.

Comes in: where the run would be. Leaves: values by name, or a sentence about a run that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sf_core.cfg.config import Config
from sf_core.cfg.option import AUTO
from sf_core.cfg.options import core_options
from sf_core.cfg.saved import config_path, has_config, read_config
from sf_core.utils.errors import UsageError

_PLACE = ("train_dir", "experiment")  # a run may have been moved or renamed; where it was found is where it is
_MAX_SEED = 2**31
_OF_THE_MACHINE = (
    "device",
    "seed",
    "torch_threads",
    "serial_mode",
)  # of the command that trained, not of what it learnt


def saved_values(where: Mapping[str, Any], evaluation: bool) -> dict[str, Any]:
    """The values of the run at `where["train_dir"]` and `where["experiment"]` that a command takes back.

    Training takes them only with `restart_behavior=resume`, and needs no run to be there; evaluation does.

    Raises:
        UsageError: nothing to evaluate, or a configuration that cannot be read.
    """
    if not evaluation and where["restart_behavior"] != "resume":
        return {}
    if not has_config(where["train_dir"], where["experiment"]):
        if evaluation:
            raise _no_such_run(where)
        return {}
    return values_to_continue(read_config(config_path(where["train_dir"], where["experiment"]).parent), evaluation)


def values_to_continue(cfg: Config, evaluation: bool) -> dict[str, Any]:
    """Every value that describes the run, also one that was a plain default when it began.

    A run keeps its hyper-parameters when a newer version, or a newer plugin, has other defaults. What describes only
    the command (`Option.per_command`) does not come back, and what the engine or a check had derived comes back as it
    was asked for, to be derived anew.
    """
    asked = {**cfg, **{name: value for name, (value, _) in cfg.requested.items()}}
    left_out = {option.name for option in core_options().values() if option.per_command} | set(_PLACE)
    if evaluation:
        left_out |= set(_OF_THE_MACHINE)
    return {name: value for name, value in asked.items() if name not in left_out}


@dataclass(frozen=True)
class Change:
    """One option whose value is another one than it was."""

    name: str
    before: Any
    now: Any


def changed_values(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What describes the run and is not what it was, by name; options that only one of the two has are left out."""
    left_out = {option.name for option in core_options().values() if option.per_command} | set(_PLACE)
    names = sorted((before.keys() & now.keys()) - left_out)
    return [Change(name, before[name], now[name]) for name in names if before[name] != now[name]]


def changes_of_this_command(cfg: Config) -> list[Change]:
    """What `cfg` asks for other than the run that it continues did; empty where there is none."""
    before = _continued(cfg)
    if before is None:
        return []
    return changed_values(values_to_continue(before, False), values_to_continue(cfg, False))


def seed_of(cfg: Config) -> int:
    """The seed of a run that was given none: the one it began with if it is continued, a new one otherwise."""
    import secrets  # brings hashes and generators; only here, since a command line needs none

    before = _continued(cfg)
    return secrets.randbelow(_MAX_SEED) if before is None or before.seed is None else int(before.seed)


def check_same_env(cfg: Config) -> None:
    """Refuse to continue a run on another environment; touches nothing.

    Raises:
        UsageError: the run in this folder was trained on an env of another name.
    """
    before = _continued(cfg)
    if before is None:
        return
    trained_on = str(before.get("env"))
    if _bare_env(trained_on) != _bare_env(cfg.env):
        raise UsageError(
            f"the run {cfg.experiment!r} was trained on {trained_on}, not on {cfg.env}; choose another --experiment, "
            "or --restart_behavior=restart to begin anew beside it."
        )


def numbers_of_envs(cfg: Config) -> dict[str, int]:
    """What `auto` had come to in the asynchronous run that `cfg` continues; empty where there is none.

    The measurements behind them differ from start to start; a run that goes on keeps its own.
    """
    before = _continued(cfg)
    if before is None or not before.async_rl or before.serial_mode:
        return {}
    names = ("num_workers", "num_envs_per_worker")
    return {name: before[name] for name in names if cfg[name] == AUTO and before.origin(name) == "auto"}


def _continued(cfg: Config) -> Config | None:
    """The configuration of the run that `cfg` continues."""
    if cfg.restart_behavior != "resume" or not has_config(cfg.train_dir, cfg.experiment):
        return None
    return read_config(config_path(cfg.train_dir, cfg.experiment).parent)


def _bare_env(name: str) -> str:
    """`gym:CartPole-v1` is CartPole-v1, and `atari/atari_pong` is atari_pong."""
    name = name.removeprefix("gym:")
    return name if ":" in name or name.startswith("ALE/") else name.rpartition("/")[2]


def _no_such_run(where: Mapping[str, Any]) -> UsageError:
    train_dir = config_path(where["train_dir"], "x").parent.parent
    runs = sorted(path.parent.name for path in train_dir.glob("*/config.json")) if train_dir.is_dir() else []
    there = f"runs there: {', '.join(runs[:10])}" if runs else "there are no runs in it; name another --train_dir"
    return UsageError(f"there is no run {where['experiment']!r} in {where['train_dir']} ({there}).")
