"""Who is to blame when a loss or a gradient is not finite.

In: a batch and its masks. Out: names of the fields that hold NaN or infinity. Called only after an update was skipped, so
it may take its time.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from sf_core.rollout.train_batch import TrainBatch


class TrainingDiverged(RuntimeError):
    """Too many updates in a row were skipped because something was not finite."""


def find_culprits(batch: TrainBatch, valid: Tensor) -> tuple[str, ...]:
    """Fields of the batch that are not finite in rows that are trained on, the likeliest cause first.

    Args:
        batch: B rollouts of T steps.
        valid: [B, T] bool.

    Returns:
        Names such as `observation["obs"]`, `reward`, `value`, `logits`; empty where the batch is finite, so that what is
        not finite arose in the update itself.
    """
    return tuple(name for name, x in _suspects(batch) if _is_broken(x, valid))


def _suspects(batch: TrainBatch) -> Iterator[tuple[str, Tensor]]:
    for key, x in batch.observation.items():
        yield f'observation["{key}"]', x[:, :-1]
    yield "reward", batch.reward
    yield "value", batch.behaviour_value
    yield "final_value", batch.final_value
    yield "logits", batch.action_logits
    yield "log_prob", batch.behaviour_log_prob
    for part, x in batch.action.items():
        yield f'action["{part}"]', x


def _is_broken(x: Tensor, valid: Tensor) -> bool:
    if not x.is_floating_point():
        return False
    broken = ~x.isfinite()
    if broken.ndim > valid.ndim:
        broken = broken.flatten(valid.ndim).any(-1)  # [B, T]
    return bool((broken & valid).any())
