"""Rollouts cut into segments: what a minibatch is made of.

In: a `TrainBatch`, its normalised observations and its masks. Out: `Segments`, each field with one row per segment,
from which minibatches are selected. Does not know targets, losses or which segments go together.

A segment is the part of a rollout through which gradients flow, `recurrence` steps long. With `recurrence` 1 a segment
is one sample, so minibatches index flattened samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sf_core.learner.minibatches import Selection
from sf_core.rollout.train_batch import TrainBatch


@dataclass(frozen=True, slots=True)
class Segments:
    """`G` segments of `L` steps, or a minibatch of them."""

    observation: dict[str, Tensor]  # [G, L, *space], normalised
    rnn_state: Tensor  # [G, H], enters the first step
    episode_start: Tensor  # [G, L] bool
    action: dict[str, Tensor]  # [G, L, *part]
    action_logits: Tensor  # [G, L, P], of the behaviour policy
    behaviour_log_prob: Tensor  # [G, L]
    behaviour_value: Tensor  # [G, L], in the units of the value head
    valid: Tensor | None  # [G, L] bool, rows to train on; None = all
    inactive: Tensor | None  # [G, L] bool, steps the agent sat out; None = nobody did

    @property
    def num_segments(self) -> int:
        """G."""
        return int(self.episode_start.shape[0])

    def count_valid(self, selections: Sequence[Selection]) -> list[int]:
        """Rows to train on in each of some equal minibatches; where not all are, the host waits for the device."""
        if self.valid is None:
            return [self.episode_start.numel() // len(selections)] * len(selections)
        counts: list[int] = torch.stack([select_rows(self.valid, s).sum() for s in selections]).tolist()
        return counts

    def select(self, selection: Selection) -> Segments:
        """The chosen segments: views for a slice, copies for an index tensor."""
        return Segments(
            observation={key: select_rows(x, selection) for key, x in self.observation.items()},
            rnn_state=select_rows(self.rnn_state, selection),
            episode_start=select_rows(self.episode_start, selection),
            action={part: select_rows(x, selection) for part, x in self.action.items()},
            action_logits=select_rows(self.action_logits, selection),
            behaviour_log_prob=select_rows(self.behaviour_log_prob, selection),
            behaviour_value=select_rows(self.behaviour_value, selection),
            valid=None if self.valid is None else select_rows(self.valid, selection),
            inactive=None if self.inactive is None else select_rows(self.inactive, selection),
        )


def cut_into_segments(
    batch: TrainBatch,
    observation: dict[str, Tensor],
    behaviour_value: Tensor,
    *,
    real: Tensor,
    train: Tensor,
    recurrence: int,
) -> Segments:
    """All segments of a batch, those of one rollout in a row.

    Args:
        batch: B rollouts of T steps.
        observation: [B, T, *space] normalised, without the bootstrap row.
        behaviour_value: [B, T] in the units of the value head.
        real: [B, T] bool, rows that are steps of this policy.
        train: [B, T] bool, rows to train on.
        recurrence: L; divides T.

    Rows that are no steps of this policy may hold anything, NaN included. Their logits, log-probabilities and actions
    become 0, so that no gradient of the rows beside them is spoiled; of their observations only what is not finite is
    replaced, since the value of a final observation may be asked for.
    """
    action, action_logits, log_prob = batch.action, batch.action_logits, batch.behaviour_log_prob
    inactive = batch.policy_id < 0
    if not bool(real.all()):
        action = {part: _zero_where(~real, x) for part, x in action.items()}
        action_logits = _zero_where(~real, action_logits)
        log_prob = _zero_where(~real, log_prob)
        behaviour_value = _zero_where(~real, behaviour_value)
        observation = {key: _finite_where(~real, x) for key, x in observation.items()}
    return Segments(
        observation={key: to_segments(x, recurrence) for key, x in observation.items()},
        rnn_state=batch.rnn_state[:, :-1].flatten(0, 1),
        episode_start=to_segments(batch.episode_start[:, :-1], recurrence),
        action={part: to_segments(x, recurrence) for part, x in action.items()},
        action_logits=to_segments(action_logits, recurrence),
        behaviour_log_prob=to_segments(log_prob, recurrence),
        behaviour_value=to_segments(behaviour_value, recurrence),
        valid=None if bool(train.all()) else to_segments(train, recurrence),
        inactive=to_segments(inactive, recurrence) if bool(inactive.any()) else None,
    )


def to_segments(x: Tensor, recurrence: int) -> Tensor:
    """[B, T, *] to [B * T / L, L, *]."""
    return x.reshape(-1, recurrence, *x.shape[2:])


def select_rows(x: Tensor, selection: Selection) -> Tensor:
    """Rows of the first axis, keeping the order in which an image's axes lie in memory.

    Gathering with an index would return channels-first memory even where the images are channels-last, and the encoder
    would convert every minibatch of every epoch again.
    """
    if isinstance(selection, slice):
        return x[selection]
    if x.ndim >= 5:  # [G, L, C, H, W]
        channels_last = x.movedim(-3, -1)
        if channels_last.is_contiguous() and not x.is_contiguous():
            return channels_last.index_select(0, selection).movedim(-1, -3)
    return x.index_select(0, selection)


def _zero_where(mask: Tensor, x: Tensor) -> Tensor:
    return torch.where(_like_rows(mask, x), torch.zeros_like(x), x)


def _finite_where(mask: Tensor, x: Tensor) -> Tensor:
    """Only the masked rows are looked at: looking at all of them costs as much as a convolution."""
    if not x.is_floating_point():
        return x
    rows = x[mask]
    if bool(rows.isfinite().all()):
        return x
    x = x.clone()
    x[mask] = torch.where(rows.isfinite(), rows, torch.zeros_like(rows))
    return x


def _like_rows(mask: Tensor, x: Tensor) -> Tensor:
    return mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))  # [B, T, 1, ...]
