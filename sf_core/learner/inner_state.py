"""What the optimizer and the normalisers remember, in a few numbers for the reports.

In: an actor-critic and its optimizer. Out: scalars under Sample Factory's names. The host waits for the device once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sf_core.model.actor_critic import ActorCritic
from sf_core.model.normalizer import EPSILON, RunningMeanStd


@torch.no_grad()
def inner_state(actor_critic: ActorCritic, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The numbers there are.

    Returns:
        adam_max_second_moment: largest running average of a squared gradient; a spike often comes before trouble.
        <key>_running_mean, <key>_running_std: of each normalised observation, the mean over its elements.
        returns_running_mean, returns_running_std: of the value targets, reward units.
    """
    numbers: dict[str, Tensor] = {}
    moments = [state["exp_avg_sq"] for state in optimizer.state.values() if "exp_avg_sq" in state]
    if moments:
        # they are not negative, so the largest is their maximum norm, and one call has that of all of them
        numbers["adam_max_second_moment"] = torch.stack(torch._foreach_norm(moments, float("inf"))).max()
    observations = actor_critic.obs_normalizer
    for name, statistics in zip(observations.normalized_keys, observations.running.values(), strict=True):
        assert isinstance(statistics, RunningMeanStd)
        numbers |= _of(name, statistics)
    if actor_critic.returns_normalizer is not None:
        numbers |= _of("returns", actor_critic.returns_normalizer)
    if not numbers:
        return {}
    device = next(iter(numbers.values())).device  # statistics stay on the CPU where a device has no float64
    values = torch.stack([number.float().to(device) for number in numbers.values()]).tolist()
    return dict(zip(numbers, values, strict=True))


def _of(name: str, statistics: RunningMeanStd) -> dict[str, Tensor]:
    return {
        f"{name}_running_mean": statistics.mean.mean(),
        f"{name}_running_std": (statistics.var + EPSILON).sqrt().mean(),
    }
