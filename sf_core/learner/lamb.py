"""LAMB: Adam with a step length per parameter tensor.

In: parameters with gradients. Out: changed parameters. Waits for no device: nothing is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """Layer-wise adaptive moments (You et al. 2020, algorithm 2), with Sample Factory's bounds.

        m ← β1 m + (1-β1) g        v ← β2 v + (1-β2) g²
        u = m̂ / (√v̂ + ε) + weight_decay · w                 (hats: bias-corrected)
        trust = clamp(min(‖w‖, 10) / ‖u‖, min_trust, 100)    (1 where a norm is 0)
        w ← w - lr · trust · u

    `found_inf`, a scalar tensor as torch's fused Adam reads it, skips the step where it is 1: parameters and state keep
    their bits.
    """

    found_inf: Tensor

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-4,
        min_trust: float = 0.01,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "min_trust": min_trust}
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step on the gradients of the parameters; closures are not supported."""
        if closure is not None:
            raise NotImplementedError("Lamb takes no closure")
        skip = getattr(self, "found_inf", None)
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, param.grad, group, None if skip is None else skip.bool())
        return None

    def _update(self, param: Tensor, grad: Tensor, group: dict[str, Any], skip: Tensor | None) -> None:
        state = self.state[param]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=param.device)
            state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        beta1, beta2 = group["betas"]
        step = state["step"] + 1
        exp_avg = beta1 * state["exp_avg"] + (1 - beta1) * grad
        exp_avg_sq = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad.square()
        update = (exp_avg / (1 - beta1**step)) / ((exp_avg_sq / (1 - beta2**step)).sqrt() + group["eps"])
        update = update + group["weight_decay"] * param
        weight_norm, update_norm = param.norm().clamp(max=10.0), update.norm()
        trust = (weight_norm / update_norm).clamp(group["min_trust"], 100.0)
        trust = torch.where((weight_norm == 0) | (update_norm == 0), torch.ones_like(trust), trust)
        new_param = param - group["lr"] * trust * update
        for old, new in ((state["step"], step), (state["exp_avg"], exp_avg), (state["exp_avg_sq"], exp_avg_sq)):
            old.copy_(new if skip is None else torch.where(skip, old, new))
        param.copy_(new_param if skip is None else torch.where(skip, param, new_param))
