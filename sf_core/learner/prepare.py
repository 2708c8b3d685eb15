"""From a batch to what the epochs run on: segments and targets.

In: a `TrainBatch`, its masks, the policy as it is. Out: `Segments`, `Targets`. Everything that needs the policy's
forward pass or its running statistics before the first gradient is here; formulas are in the files it calls.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sf_core.learner.advantages import gae
from sf_core.learner.losses import importance_ratio
from sf_core.learner.minibatches import minibatch_selections
from sf_core.learner.segments import Segments, cut_into_segments
from sf_core.learner.targets import Targets
from sf_core.learner.validity import Validity
from sf_core.learner.vtrace import vtrace
from sf_core.model.policy import Policy
from sf_core.rollout.train_batch import TrainBatch
from sf_core.utils.attr_dict import AttrDict


@torch.no_grad()
def prepare_segments(cfg: AttrDict, policy: Policy, batch: TrainBatch, masks: Validity) -> Segments:
    """All segments of a batch. Observations are normalised and converted here, once for all epochs."""
    return cut_into_segments(
        batch,
        policy.normalize({key: x[:, :-1] for key, x in batch.observation.items()}),
        to_head_units(policy, batch.behaviour_value),
        real=masks.transition,
        train=masks.train,
        recurrence=cfg.recurrence,
    )


@torch.no_grad()
def make_targets(cfg: AttrDict, policy: Policy, batch: TrainBatch, segments: Segments, masks: Validity) -> Targets:
    """Advantages and value targets [T, B] in reward units.

    GAE stands on the behaviour's values, so only row T needs a forward pass. V-trace asks what the present weights say
    of every row, and is made anew for every epoch.
    """
    # The state is zero where an episode starts; nobody wrote the zeros.
    rnn_state = batch.rnn_state[:, -1].masked_fill(batch.episode_start[:, -1:], 0.0)
    bootstrap = policy.value_batch({key: x[:, -1] for key, x in batch.observation.items()}, rnn_state)  # [B]
    reward = batch.reward.t().contiguous()  # [T, B]
    columns = tuple(
        x.t().contiguous()
        for x in (batch.terminated, batch.truncated, masks.transition, batch.episode_start, batch.final_value)
    )
    if not cfg.with_vtrace:
        value = torch.cat([batch.behaviour_value.t(), bootstrap[None]])  # [T+1, B]
        advantage = gae(reward, value, *columns, gamma=cfg.gamma, lam=cfg.gae_lambda)
        return Targets(advantage, torch.where(masks.transition.t(), advantage + value[:-1], 0.0))

    target_log_prob, target_value = _evaluate_all(cfg, policy, batch, segments)  # [B, T]
    ratio = importance_ratio(target_log_prob, batch.behaviour_log_prob, masks.transition)
    return vtrace(
        reward,
        torch.cat([to_reward_units(policy, target_value).t(), bootstrap[None]]),
        ratio.t().contiguous(),
        *columns,
        gamma=cfg.gamma,
        rho_bar=cfg.vtrace_rho,
        c_bar=cfg.vtrace_c,
    )


def to_head_units(policy: Policy, value: Tensor) -> Tensor:
    """Reward units to those of the value head, with the present statistics."""
    normalizer = policy.actor_critic.returns_normalizer
    return value if normalizer is None else normalizer.normalize(value)


def to_reward_units(policy: Policy, value: Tensor) -> Tensor:
    """The inverse of `to_head_units`."""
    normalizer = policy.actor_critic.returns_normalizer
    return value if normalizer is None else normalizer.denormalize(value)


def _evaluate_all(cfg: AttrDict, policy: Policy, batch: TrainBatch, segments: Segments) -> tuple[Tensor, Tensor]:
    """log π and V (head units) of the present weights on every row, [B, T] each, a minibatch at a time."""
    log_prob, value = [], []
    for selection in minibatch_selections(segments.num_segments, cfg.num_batches_per_epoch):
        part = segments.select(selection)
        evaluation = policy.evaluate(part.observation, part.rnn_state, part.episode_start, part.action, part.inactive)
        log_prob.append(evaluation.log_prob)
        value.append(evaluation.value)
    return torch.cat(log_prob).reshape(batch.reward.shape), torch.cat(value).reshape(batch.reward.shape)
