"""One checkpoint on disk: a folder that is there as a whole or not at all.

In: tensors by name and a JSON part. Out: a folder, or the same things read back and checked (the half that a policy
needs is read by `model/checkpoint_files.py`). Does not know learners, policies, or which checkpoints of a run are kept
(`checkpoint.py`).

    model.safetensors       tensors only, no metadata: equal weights are equal bytes
    optimizer.safetensors   `exp_avg.<parameter>` and so on
    sampler.safetensors     where the episodes stand; only of runs that can tell
    checkpoint.json         everything else, and the sha256 of all of them

Everything is written to a hidden temporary folder beside the final one, flushed to the disk and then renamed, so a
reader sees a whole checkpoint or none. Nothing is ever pickled; reading a file from a stranger executes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sf_core.model.checkpoint_files import (
    JSON_FILE,
    MODEL_FILE,
    DamagedCheckpointError,
    facts_checksum,
    read_saved_policy,
)
from sf_core.utils.errors import UsageError

SCHEMA = 1
OPTIMIZER_FILE = "optimizer.safetensors"
SAMPLER_FILE = "sampler.safetensors"
PARTIAL_PREFIX = ".partial_"  # matched by no search for checkpoints
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one folder holds, on the CPU."""

    path: Path
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    facts: dict[str, Any]  # checkpoint.json
    sampler: dict[str, Tensor]

    @property
    def policy_version(self) -> int:
        """Optimizer steps behind these weights."""
        return int(self.facts["policy_version"])

    @property
    def env_steps(self) -> int:
        """Env steps behind these weights."""
        return int(self.facts["env_steps"])


def write_checkpoint(
    path: Path,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    sampler: Mapping[str, Tensor] | None = None,
    *,
    put_away: Callable[[Path], None] | None = None,
) -> None:
    """Write the folder `path`. One of the same name stays if it holds the same tensors, and is replaced otherwise.

    `put_away` is what becomes of the one that is replaced, once the new one is complete; by default it is deleted.

    Raises:
        OSError: the disk is full or does not allow it. No trace of the attempt is left, and what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    tensors = {MODEL_FILE: model, OPTIMIZER_FILE: optimizer, **({SAMPLER_FILE: sampler} if sampler else {})}
    files = {name: safetensors.torch.save(_contiguous(group)) for name, group in tensors.items()}
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    if _holds(path, checksums):
        return  # replacing it would leave a moment in which neither is there
    try:
        partial.mkdir()
        plain = _strict({"schema": SCHEMA, **facts, "sha256": checksums})
        plain["sha256"][JSON_FILE] = facts_checksum(plain)
        text = json.dumps(plain, indent=1, allow_nan=False)
        for name, data in {**files, JSON_FILE: text.encode()}.items():
            _write_through(partial / name, data)
        _flush_folder(partial)
        if path.exists():
            (put_away or remove_checkpoint)(path)
        partial.rename(path)
        _flush_folder(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify the folder `path`.

    Raises:
        DamagedCheckpointError: a file is missing, unreadable, of an unknown schema or not what its checksum says.
        UsageError: a later version wrote it.
    """
    try:
        saved = read_saved_policy(path)
        if not (path / OPTIMIZER_FILE).exists():
            raise DamagedCheckpointError(
                f"checkpoint {path} is damaged: it has no {OPTIMIZER_FILE}; to train on from its weights, begin "
                f"another run with --init_from={path}"
            )
        tensors: dict[str, dict[str, Tensor]] = {SAMPLER_FILE: {}}
        for name in (OPTIMIZER_FILE, *({SAMPLER_FILE} & saved.facts["sha256"].keys())):
            data = (path / name).read_bytes()
            if saved.facts["sha256"][name] != hashlib.sha256(data).hexdigest():
                raise DamagedCheckpointError(f"checkpoint {path} is damaged: {name} is not what its checksum says")
            tensors[name] = safetensors.torch.load(data)
        return Checkpoint(path, saved.weights, tensors[OPTIMIZER_FILE], saved.facts, tensors[SAMPLER_FILE])
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged: {type(error).__name__}: {error}") from error


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint folder so that no reader finds half of it."""
    doomed = path.with_name(f"{PARTIAL_PREFIX}removed_{path.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Delete what an interrupted save left in `directory`. For the one process that saves there."""
    for path in directory.glob(f"{PARTIAL_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def is_same_checkpoint(one: Path, other: Path) -> bool:
    """True where both folders are whole and hold the same tensors."""
    try:
        checksums = read_checkpoint(one).facts["sha256"]
    except UsageError:
        return False
    return _holds(other, {name: checksum for name, checksum in checksums.items() if name != JSON_FILE})


def is_disk_full(error: OSError) -> bool:
    """True for a full disk or an exhausted quota."""
    return error.errno in _DISK_FULL


def _holds(path: Path, checksums: Mapping[str, str]) -> bool:
    try:
        return path.exists() and read_checkpoint(path).facts["sha256"].items() >= checksums.items()
    except UsageError:
        return False


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Own memory for each tensor: the format stores neither strides nor sharing."""
    return {
        name: x.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, x in sorted(tensors.items())
    }


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """A new name is on the disk only once its folder is. (Windows cannot open folders, and needs none of this.)"""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _strict(value: Any) -> Any:
    """JSON has no word for NaN and infinity: they become null. Tuples and numpy numbers become plain."""
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str | int | float):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
