"""What the optimizer and the normalisers remember, in a few numbers for the reports.

In: an actor-critic and its optimizer. Out: scalars under Sample Factory's names. The host waits for the device.
"""

from __future__ import annotations

import torch

from sf_core.model.actor_critic import ActorCritic


@torch.no_grad()
def inner_state(actor_critic: ActorCritic, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The numbers there are.

    Returns:
        adam_max_second_moment: largest running average of a squared gradient; a spike often comes before trouble.
        what else the actor-critic says of itself (`ActorCritic.summaries`), such as obs_running_mean.
    """
    numbers = actor_critic.summaries()
    moments = [state["exp_avg_sq"] for state in optimizer.state.values() if "exp_avg_sq" in state]
    if moments:
        # they are not negative, so the largest is their maximum norm, and one call has that of all of them
        numbers["adam_max_second_moment"] = float(torch.stack(torch._foreach_norm(moments, float("inf"))).max())
    return numbers
