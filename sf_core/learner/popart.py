"""Keeps V(s) in reward units where it is while the statistics of returns change.

In: an actor-critic whose `returns_normalizer` is about to change. Out: its last value layer, rescaled. Without this a
wider spread of returns makes every value larger at once; the next targets are bootstrapped from these, widen the spread
again, and the critic runs ahead of what any policy can earn (van Hasselt et al. 2016, "Learning values across many
orders of magnitude", section 2.2: POP, preserving outputs precisely).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sf_core.model.actor_critic import ActorCritic
from sf_core.model.normalizer import EPSILON, ReturnsNormalizer


@contextmanager
def values_preserved(actor_critic: ActorCritic) -> Iterator[None]:
    """Inside, `actor_critic.returns_normalizer` may change; on leaving, V in reward units is what it was.

    The layer is `critic_linear`, as in the built-in actor-critics; one that has no such linear layer is left alone. The
    optimizer's moments are left alone too, as in the paper. So is a head that has not learned anything yet: the first
    statistics give it the mean return for free, which is worth more than the zeros it says.
    """
    normalizer = actor_critic.returns_normalizer
    layer = getattr(actor_critic, "critic_linear", None)
    if normalizer is None or normalizer.count <= 1 or not (isinstance(layer, nn.Linear) and layer.out_features == 1):
        yield
        return
    old_mean, old_std = _mean_and_std(normalizer)
    yield
    mean, std = _mean_and_std(normalizer)
    # sigma' (w' h + b') + mu' = sigma (w h + b) + mu for every h
    with torch.no_grad():
        layer.weight.mul_((old_std / std).to(layer.weight))
        if layer.bias is not None:
            bias = (old_std * layer.bias.double() + old_mean - mean) / std
            layer.bias.copy_(bias.to(layer.bias))


def _mean_and_std(normalizer: ReturnsNormalizer) -> tuple[torch.Tensor, torch.Tensor]:
    return normalizer.mean.clone(), (normalizer.var + EPSILON).sqrt()
