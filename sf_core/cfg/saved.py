"""`config.json` of a run: values, where they came from, and what was asked for where they were derived.

Comes in: a `Config`. Leaves: the same `Config`, in a later process. The file is written to a temporary name first, so
that it is whole or absent. It does not know which of its values a resumed run takes back.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sf_core.cfg.config import Config
from sf_core.utils.errors import UsageError

FILE_NAME = "config.json"
SCHEMA = 1  # keys may be added within a schema; anything else needs the next number
_WAY_OUT = (
    "put an intact one there, or choose another --experiment, which --init_from begins with the weights of this run."
)


def config_path(train_dir: str | Path, experiment: str) -> Path:
    """Where the configuration of a run is kept."""
    return Path(train_dir).expanduser() / experiment / FILE_NAME


def has_config(train_dir: str | Path, experiment: str) -> bool:
    """Whether there is one; `UsageError` where that cannot be seen, in a folder of somebody else for example."""
    path = config_path(train_dir, experiment)
    try:
        return path.is_file()
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be read ({error.strerror}); choose another --train_dir.") from error


def write_config(directory: str | Path, cfg: Config) -> Path:
    """Write `config.json` into `directory`, which is made if it is not there; returns its path."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    data = {
        "schema": SCHEMA,
        "values": dict(cfg),
        "origins": cfg.origins,
        "requested": {name: {"value": value, "origin": origin} for name, (value, origin) in cfg.requested.items()},
    }
    path = directory / FILE_NAME
    temporary = directory / f".{FILE_NAME}.{os.getpid()}.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            # A script may add options whose values are paths and the like; texts are typed again when read back.
            json.dump(data, file, indent=2, sort_keys=True, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def read_config(directory: str | Path) -> Config:
    """The configuration in `directory`; `UsageError` if there is none, or if it cannot be read."""
    path = Path(directory) / FILE_NAME
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no {FILE_NAME} in {directory}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}); {_WAY_OUT}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema is None:
        raise UsageError(f"{path} was not written by sf_core; choose another --experiment.")
    if schema != SCHEMA:
        raise UsageError(f"{path} has schema {schema}, this sf_core reads {SCHEMA}; use the version that wrote it.")
    try:
        requested = {name: (entry["value"], entry["origin"]) for name, entry in data.get("requested", {}).items()}
        return Config(dict(data["values"]), dict(data["origins"]), requested)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({error!r}); {_WAY_OUT}") from error
