"""Whether a checkpoint can be used by the present command, and where the one of `--init_from` is.

In: what a checkpoint says of itself, the configuration, spaces. Out: a checkpoint, or a sentence that names the flags
in the way. Nothing in a checkpoint is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sf_core.cfg.config import Config
from sf_core.cfg.groups import learning, model
from sf_core.cfg.options import core_options
from sf_core.cfg.resume import changed_values
from sf_core.model.checkpoint_files import SavedPolicy, load_saved_policy
from sf_core.utils.errors import UsageError

_OF_THE_NETWORK = {"actor_critic", "encoder", "core", "decoder"}.union(
    option.name for group in (model.MODEL, learning.NORMALIZATION) for option in group.options
)
_OF_THE_ENV = {"env", "env_wrappers"}

TO_CONTINUE = "leave them as they were to continue the run, or begin another --experiment."
TO_BEGIN = "give the flags that it was trained with, or another --init_from."
"""What to do about a checkpoint that does not fit."""


def find_policy(cfg: Config) -> SavedPolicy:
    """The policy that `--init_from` names: a run below `--train_dir`, or the folder of a run or of a checkpoint.

    Raises:
        UsageError: there is none, or none that can be read.
    """
    name = str(cfg.init_from)
    places = [Path(cfg.train_dir).expanduser() / name, Path(name).expanduser()]
    for place in places:
        if place.is_dir():
            return load_saved_policy(place, cfg.load_checkpoint_kind)
    raise UsageError(
        f"--init_from={name}: there is no run of this name in {cfg.train_dir} and no such folder; give the name of a "
        "run, or the folder of a run or of a checkpoint."
    )


def check_spaces(
    path: Path, facts: Mapping[str, Any], cfg: Config, description: Mapping[str, Any], way_out: str
) -> None:
    """Refuse a checkpoint of other observations or actions.

    Args:
        path: of the checkpoint.
        facts: its `checkpoint.json`.
        cfg: of the present command.
        description: what `checkpoint.json` would say now.
        way_out: `TO_CONTINUE` or `TO_BEGIN`.

    Raises:
        UsageError: the spaces differ in kind or size.
    """
    for name in ("observation_space", "action_space"):
        before, now = _without_bounds(facts.get(name)), _without_bounds(json.loads(json.dumps(description[name])))
        if before != now:
            raise UsageError(
                f"checkpoint {path} is of an environment with another {name.replace('_', ' ')} ({_brief(before)}, not "
                f"{_brief(now)}){_blamed(facts, cfg, _OF_THE_ENV)}; {way_out}"
            )


@contextmanager
def blamed_on_flags(path: Path, facts: Mapping[str, Any], cfg: Config, way_out: str) -> Iterator[None]:
    """Around taking over weights: where they do not fit, name the flags that make it another network, and `way_out`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(
            f"checkpoint {path} is of another network{_blamed(facts, cfg, _OF_THE_NETWORK) or f' ({error})'}; {way_out}"
        ) from error


def _blamed(facts: Mapping[str, Any], cfg: Config, suspects: set[str]) -> str:
    """The flags that are not what they were, out of `suspects` and those of components."""
    before = facts.get("config")
    changes = changed_values(before if isinstance(before, dict) else {}, cfg)
    core = core_options()
    guilty = [change for change in changes if change.name in suspects or change.name not in core]
    said = ", ".join(f"--{change.name} was {change.before} and is {change.now}" for change in guilty)
    return f": {said}" if said else ""


def _without_bounds(space: Any) -> Any:
    """The part of a space's JSON that the shape of a network depends on."""
    if isinstance(space, dict):
        return {key: _without_bounds(value) for key, value in space.items() if key not in ("low", "high")}
    return [_without_bounds(item) for item in space] if isinstance(space, list) else space


def _brief(space: Any) -> str:
    """A space's JSON in a few words."""
    if not isinstance(space, dict):
        return "none"
    if space.get("type") == "Dict":
        return ", ".join(f"{key} {_brief(child)}" for key, child in space.get("spaces", ()))
    if space.get("type") == "Tuple":
        return ", ".join(map(_brief, space.get("spaces", ())))
    sizes = {key: value for key, value in space.items() if key in ("n", "nvec", "shape")}
    return f"{space.get('type')} {' '.join(str(value) for value in sizes.values())}"
