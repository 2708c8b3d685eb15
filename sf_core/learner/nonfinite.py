"""Who is to blame when a loss or a gradient is not finite.

In: a batch and its masks. Out: names of the fields that hold NaN or infinity, and the batch as a file. Called only
after an update was skipped, so it may take its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sf_core.learner.update_stats import MINIBATCH_STATS
from sf_core.rollout.train_batch import TrainBatch
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

MAX_BAD_BATCHES = 3  # of a run; what follows the first ones follows from them


class TrainingDivergedError(RuntimeError):
    """Too many updates in a row were skipped because something was not finite."""


class BadBatches:
    """Keeps the first batches of a run that an update failed on.

    Args:
        folder: where they are written, one safetensors file each; made when there is one to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, batch: TrainBatch, policy_version: int, culprits: Sequence[str]) -> Path | None:
        """Write `batch`, unless there are `MAX_BAD_BATCHES` already or the disk refuses; returns the file."""
        path = self._folder / f"batch_{policy_version:09d}.safetensors"
        partial = path.with_suffix(".partial")  # half a file is none, if the run is killed or the disk is full
        try:
            if len(list(self._folder.glob("batch_*.safetensors"))) >= MAX_BAD_BATCHES or path.exists():
                return None
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(
                {name: x.detach().cpu().contiguous() for name, x in _tensors(batch)},
                partial,
                {"culprits": ", ".join(culprits), "policy_version": str(policy_version)},
            )
            partial.replace(path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            log.warning("The batch cannot be kept (%s)", error)
            return None
        return path


def load_bad_batch(path: str | Path) -> TrainBatch:
    """The batch that `BadBatches` kept, to look at it.

    Raises:
        UsageError: the file is not one of these.
    """
    values: dict[str, Tensor | dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  it is no dict
                field, _, key = name.partition(".")
                if key:
                    group = values.setdefault(field, {})
                    assert isinstance(group, dict)
                    group[key] = file.get_tensor(name)
                else:
                    values[field] = file.get_tensor(name)
        return TrainBatch(**values)  # type: ignore[arg-type]  # by name, as they were written
    except (OSError, SafetensorError, TypeError, AssertionError) as error:
        raise UsageError(f"{path} holds no batch that was kept ({type(error).__name__}: {error})") from error


def _tensors(batch: TrainBatch) -> Iterator[tuple[str, Tensor]]:
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, dict):
            yield from ((f"{field.name}.{key}", x) for key, x in value.items())
        else:
            yield field.name, value


def find_culprits(batch: TrainBatch, train: Tensor) -> tuple[str, ...]:
    """Fields of the batch that are not finite, the likeliest cause first.

    Looks at the rows that are trained on, and if these are finite at all rows, since a value reaches back to the rows
    before it.

    Args:
        batch: B rollouts of T steps.
        train: [B, T] bool.

    Returns:
        Names such as `observation["obs"]`, `reward`, `value`, `logits`; empty where the batch is finite, so that what
        is not finite arose in the update itself.
    """
    for rows in (train, torch.ones_like(train)):
        with_bootstrap = torch.cat([rows, rows[:, -1:]], dim=1)  # [B, T+1]
        if culprits := tuple(name for name, x in _suspects(batch) if _is_broken(x, rows, with_bootstrap)):
            return culprits
    return ()


def blame_update(table: Tensor) -> tuple[str, ...]:
    """What was not finite in updates on a finite batch: `logits`, `value`, or only the `gradient`.

    Args:
        table: [M, names], as `update_stats.describe_minibatches` arranges the numbers of M minibatches.
    """
    broken = dict(zip(MINIBATCH_STATS, (~table.isfinite()).any(0).tolist(), strict=True))
    culprits = []
    if broken["policy_loss"] or broken["exploration_loss"] or broken["kl_loss"]:
        culprits.append("logits")
    if broken["value_loss"]:
        culprits.append("value")
    return tuple(culprits) or ("gradient",)


def _suspects(batch: TrainBatch) -> Iterator[tuple[str, Tensor]]:
    for key, x in batch.observation.items():
        yield f'observation["{key}"]', x
    yield "reward", batch.reward
    yield "value", batch.behaviour_value
    yield "final_value", batch.final_value
    yield "logits", batch.action_logits
    yield "log_prob", batch.behaviour_log_prob
    for part, x in batch.action.items():
        yield f'action["{part}"]', x


def _is_broken(x: Tensor, rows: Tensor, with_bootstrap: Tensor) -> bool:
    if not x.is_floating_point():
        return False
    broken = ~x.isfinite()
    if broken.ndim > 2:
        broken = broken.flatten(2).any(-1)  # [B, T] or [B, T+1]
    return bool((broken & (rows if broken.shape == rows.shape else with_bootstrap)).any())
