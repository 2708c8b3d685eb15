"""The policy head: decoder outputs to action logits and the distribution they describe.

In: `[N, D]`. Out: `[N, P]` in the layout of `action_distribution.py`, and the distribution. Knows nothing of values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor, nn

from sf_core.envs.spaces import action_parts
from sf_core.model.action_distribution import ActionDistribution, ActionLayout
from sf_core.utils.attr_dict import AttrDict


class ActionParameterization(nn.Module):
    """One linear layer makes every action logit, log-stddevs included (`--adaptive_stddev=True`)."""

    def __init__(self, cfg: AttrDict, size: int, action_space: Space[Any]) -> None:
        super().__init__()
        self.layout = ActionLayout(action_parts(action_space))
        self.distribution_linear = nn.Linear(size, self.layout.num_parameters)

    def forward(self, x: Tensor, action_mask: Tensor | None = None) -> tuple[Tensor, ActionDistribution]:
        """`x [N, D]`, `action_mask [N, C]` (non-zero = legal) to `(action_logits [N, P], distribution)`."""
        logits = self.distribution_linear(x)
        return logits, ActionDistribution(self.layout, logits, action_mask)


class ActionParameterizationFixedStddev(nn.Module):
    """The log-stddevs are learned numbers that do not depend on the observation (`--adaptive_stddev=False`).

    They start at log(`--initial_stddev`). With `--continuous_tanh_scale` s > 0 a mean m becomes tanh(m / s) s.
    """

    order: Tensor
    is_mean: Tensor

    def __init__(self, cfg: AttrDict, size: int, action_space: Space[Any]) -> None:
        super().__init__()
        self.layout = layout = ActionLayout(action_parts(action_space))
        self.tanh_scale = float(cfg.continuous_tanh_scale)
        self.distribution_linear = nn.Linear(size, layout.num_parameters - layout.num_reals)
        self.learned_stddev = nn.Parameter(torch.full((layout.num_reals,), math.log(cfg.initial_stddev)))
        # The linear layer makes choices and means in the order of the parts, the log-stddevs follow all of them;
        # `order` says where each logit is found.
        indices = layout.indices(torch.device("cpu"))
        is_stddev = torch.zeros(layout.num_parameters, dtype=torch.bool)
        is_stddev[indices.log_stddev] = True
        order = torch.cumsum(~is_stddev, 0) - 1
        order[indices.log_stddev] = torch.arange(layout.num_reals) + layout.num_parameters - layout.num_reals
        self.in_order = bool((order == torch.arange(layout.num_parameters)).all())
        self.register_buffer("order", order, persistent=False)
        is_mean = torch.zeros(layout.num_parameters, dtype=torch.bool)
        is_mean[indices.mean] = True
        self.register_buffer("is_mean", is_mean[~is_stddev], persistent=False)

    def forward(self, x: Tensor, action_mask: Tensor | None = None) -> tuple[Tensor, ActionDistribution]:
        """See `ActionParameterization`."""
        outputs = self.distribution_linear(x)
        if self.tanh_scale > 0:
            squashed = torch.tanh(outputs / self.tanh_scale) * self.tanh_scale
            outputs = squashed if self.layout.pure_box else torch.where(self.is_mean, squashed, outputs)
        logits = torch.cat([outputs, self.learned_stddev.expand(*outputs.shape[:-1], -1)], dim=-1)
        if not self.in_order:
            logits = logits[..., self.order]
        return logits, ActionDistribution(self.layout, logits, action_mask)


def make_action_parameterization(
    cfg: AttrDict, size: int, action_space: Space[Any]
) -> ActionParameterization | ActionParameterizationFixedStddev:
    """The head for `action_space` that `--adaptive_stddev` asks for; without boxes both are the same."""
    has_box = any(part.kind == "box" for part in action_parts(action_space))
    if has_box and not cfg.adaptive_stddev:
        return ActionParameterizationFixedStddev(cfg, size, action_space)
    return ActionParameterization(cfg, size, action_space)
