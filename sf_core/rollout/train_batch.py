"""The record the learner reads: one dataset of finished rollouts as torch tensors.

In: `RolloutBuffers` (numpy) or `TensorBuffers`, and the slots that the learner has taken. Out: a frozen `TrainBatch`,
batch-major, with the names of the buffers. Where the slots are contiguous and the buffers are on the same device the
tensors are views of the buffers: they may be read until the slots are released, and nobody may write to them.

Does not know: what a value target is, or what becomes of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sf_core.rollout.slots import as_index

if TYPE_CHECKING:
    from sf_core.rollout.buffers import FieldArrays


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """`B` rollouts of `T` steps, with `P` action parameters and a recurrent state of size `H`.

    The fields are those of `rollout/fields.py`; `rnn_state[:, k]` enters step `k * recurrence` and its last row enters
    step `T`.
    """

    observation: dict[str, Tensor]  # [B, T+1, *space], the space's own dtype
    episode_start: Tensor  # [B, T+1] bool
    rnn_state: Tensor  # [B, T // recurrence + 1, H] float32
    action: dict[str, Tensor]  # [B, T, *part]
    action_logits: Tensor  # [B, T, P] float32, before masking
    behaviour_log_prob: Tensor  # [B, T] float32, after masking
    behaviour_value: Tensor  # [B, T] float32, reward units
    policy_version: Tensor  # [B, T] int64
    policy_id: Tensor  # [B, T] int32, -1 = inactive agent
    reward: Tensor  # [B, T] float32, scaled and clipped
    terminated: Tensor  # [B, T] bool
    truncated: Tensor  # [B, T] bool
    valid: Tensor  # [B, T] bool
    final_value: Tensor  # [B, T] float32, reward units

    @property
    def num_rollouts(self) -> int:
        """B."""
        return int(self.reward.shape[0])

    @property
    def rollout(self) -> int:
        """T."""
        return int(self.reward.shape[1])

    @property
    def num_transitions(self) -> int:
        """B * T, invalid rows included."""
        return self.num_rollouts * self.rollout

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the record."""
        for field in fields(self):
            value = getattr(self, field.name)
            yield from value.values() if isinstance(value, dict) else (value,)


def take_batch(
    buffers: FieldArrays[Any], slots: NDArray[np.integer[Any]] | Sequence[int], device: torch.device | str = "cpu"
) -> TrainBatch:
    """Read the given slots as one `TrainBatch` on `device`.

    Contiguous slots on the same device cost no copy; any others are gathered. The slots must stay taken while the batch
    is read.
    """
    target = torch.device(device)
    return read_batch(buffers, slots, lambda path, rows: torch.as_tensor(rows).to(target, non_blocking=True))


def read_batch(
    buffers: FieldArrays[Any],
    slots: NDArray[np.integer[Any]] | Sequence[int],
    to_tensor: Callable[[str, Any], Tensor],
) -> TrainBatch:
    """`take_batch` with another way from arrays to tensors: `to_tensor(path of the field, its rows)`."""
    where = as_index(np.asarray(slots, dtype=np.int64))

    def take(name: str) -> Tensor:
        return to_tensor(name, getattr(buffers, name)[where])

    def take_each(name: str) -> dict[str, Tensor]:
        return {key: to_tensor(f"{name}/{key}", array[where]) for key, array in getattr(buffers, name).items()}

    return TrainBatch(
        observation=take_each("observation"),
        episode_start=take("episode_start"),
        rnn_state=take("rnn_state"),
        action=take_each("action"),
        action_logits=take("action_logits"),
        behaviour_log_prob=take("behaviour_log_prob"),
        behaviour_value=take("behaviour_value"),
        policy_version=take("policy_version"),
        policy_id=take("policy_id"),
        reward=take("reward"),
        terminated=take("terminated"),
        truncated=take("truncated"),
        valid=take("valid"),
        final_value=take("final_value"),
    )
