"""Read what a trained policy needs from a checkpoint folder; never pickle.

In: a path that a person typed. Out: `SavedPolicy`, plain data and tensors. Whatever stands in the files, reading them
executes nothing. Does not know how checkpoints are written, nor optimizers.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

MODEL_FILE = "model.safetensors"
JSON_FILE = "checkpoint.json"
_SCHEMA = 1
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    safetensors.SafetensorError,
)
_NAMES = {"latest": re.compile(r"checkpoint_(\d+)_(\d+)"), "best": re.compile(r"best_(\d+)_(\d+)(?:_.+)?")}


class DamagedCheckpointError(UsageError):
    """A checkpoint folder cannot be read."""


@dataclass(frozen=True)
class SavedPolicy:
    """What a checkpoint says about its policy."""

    path: Path
    facts: dict[str, Any]  # checkpoint.json
    weights: dict[str, Tensor]  # on the CPU


def load_saved_policy(path: str | Path, kind: str = "latest") -> SavedPolicy:
    """Read the policy at `path`.

    Args:
        path: a checkpoint folder, a `checkpoint_p0` folder, or the folder of a run (its policy 0).
        kind: `latest` or `best`, where `path` holds several.

    A damaged checkpoint is passed over with a warning for the one before it, unless `path` names it.

    Raises:
        UsageError: there is no checkpoint, or none that can be read.
    """
    if kind not in _NAMES:
        raise UsageError(f"checkpoint kind {kind!r} is unknown; use latest or best")
    path = Path(path).expanduser()
    if (path / JSON_FILE).is_file():
        return read_saved_policy(path)
    for directory in (path, path / "checkpoint_p0"):
        candidates = find_checkpoints(directory, kind)
        other = "latest" if kind == "best" else "best"
        if not candidates and (candidates := find_checkpoints(directory, other)):
            log.warning("%s has no %s checkpoint yet; the %s one is used", directory, kind, other)
        for candidate in candidates:
            try:
                return read_saved_policy(candidate)
            except DamagedCheckpointError as error:
                log.warning("%s; trying the one before it", error)
        if candidates:
            raise UsageError(f"none of the {len(candidates)} checkpoints in {directory} can be read")
    raise UsageError(f"no checkpoint found in {path}; give the folder of a run or of one checkpoint")


def find_checkpoints(directory: Path, kind: str) -> list[Path]:
    """Checkpoint folders in `directory`, newest first by the numbers in their names."""
    if not directory.is_dir():
        return []
    found = [(match, path) for path in directory.iterdir() if (match := _NAMES[kind].fullmatch(path.name))]
    found.sort(key=lambda item: (int(item[0][1]), int(item[0][2])), reverse=True)
    return [path for _, path in found if path.is_dir()]


def read_saved_policy(folder: Path) -> SavedPolicy:
    """Read one checkpoint folder.

    Raises:
        DamagedCheckpointError: a file is missing, unreadable, or not the one that was written with the others.
        UsageError: a later version wrote it.
    """
    try:
        facts = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and _is_later(facts.get("schema")):
            # not damaged: to fall back to the one before would give up what a later version has trained
            raise UsageError(
                f"checkpoint {folder} has schema {facts['schema']}, this sf_core reads {_SCHEMA}; use the version that "
                "wrote it."
            )
        if not isinstance(facts, dict) or facts.get("schema") != _SCHEMA:
            raise DamagedCheckpointError(f"checkpoint {folder} is not of schema {_SCHEMA}, which this version reads")
        checksums = facts.get("sha256", {})
        if JSON_FILE in checksums and checksums[JSON_FILE] != facts_checksum(facts):
            raise DamagedCheckpointError(f"checkpoint {folder} is damaged: {JSON_FILE} is not what its checksum says")
        data = (folder / MODEL_FILE).read_bytes()
        checksum = checksums.get(MODEL_FILE)
        if checksum is not None and checksum != hashlib.sha256(data).hexdigest():
            raise DamagedCheckpointError(f"checkpoint {folder} is damaged: {MODEL_FILE} is not what its checksum says")
        for counter in ("policy_version", "env_steps"):
            facts[counter] = int(facts.get(counter) or 0)
        return SavedPolicy(folder, facts, safetensors.torch.load(data))
    except UsageError:
        raise
    except _UNREADABLE as error:
        raise DamagedCheckpointError(f"checkpoint {folder} is damaged: {type(error).__name__}: {error}") from error


def _is_later(schema: Any) -> bool:
    return type(schema) is int and schema > _SCHEMA


def facts_checksum(facts: dict[str, Any]) -> str:
    """The sha256 of what `checkpoint.json` says, but for this checksum itself, whatever the text's layout."""
    checksums = {name: value for name, value in facts["sha256"].items() if name != JSON_FILE}
    text = json.dumps({**facts, "sha256": checksums}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
