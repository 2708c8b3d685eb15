"""Small helpers under the names that scripts written for Sample Factory import."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sf_core.utils.log import log

__all__ = ["experiment_dir", "is_module_available", "log", "str2bool"]


def str2bool(value: str | bool) -> bool:
    """`"True"` or `"False"`, in any case, as a bool; for `parser.add_argument(type=str2bool)`."""
    if isinstance(value, bool):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"{value!r} is neither True nor False")


def is_module_available(name: str) -> bool:
    """Whether the top-level package of `name` is installed; imports nothing."""
    try:
        spec = find_spec(name.partition(".")[0])
    except ValueError:
        return False
    return spec is not None and spec.origin is not None


def experiment_dir(cfg: Any, mkdir: bool = True) -> str:
    """The folder of the run that `cfg` describes, made if `mkdir`."""
    path = Path(cfg.train_dir).expanduser() / cfg.experiment
    if mkdir:
        path.mkdir(parents=True, exist_ok=True)
    return str(path)
