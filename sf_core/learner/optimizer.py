"""Optimizers by name, the guarded step, and their state as named tensors.

In: parameters, configuration, gradients. Out: changed parameters. Does not know losses or schedules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from sf_core.learner.lamb import Lamb
from sf_core.utils.errors import UsageError

OPTIMIZERS = ("adam", "lamb")


def make_optimizer(
    params: Iterable[torch.nn.Parameter],
    *,
    name: str,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> torch.optim.Optimizer:
    """`adam` (Kingma and Ba 2015) or `lamb` (You et al. 2020).

    Raises:
        UsageError: another name.
    """
    params = list(params)
    if name == "adam":
        return torch.optim.Adam(params, lr=lr, betas=betas, eps=eps, fused=_fused(params))
    if name == "lamb":
        return Lamb(params, lr=lr, betas=betas, eps=eps)
    raise UsageError(f"--optimizer={name} does not exist; choose one of {', '.join(OPTIMIZERS)}.")


def clip_gradients(params: Iterable[torch.nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients so that their joint L2 norm is at most `max_norm`; 0 leaves them alone.

    Returns:
        The norm before clipping, a scalar on the device.
    """
    return torch.nn.utils.clip_grad_norm_(list(params), max_norm if max_norm > 0 else float("inf"))


def guarded_step(optimizer: torch.optim.Optimizer, apply: Tensor) -> None:
    """`optimizer.step()` where the scalar bool `apply` is true; otherwise weights and state keep their bits.

    The optimizers read the flag themselves, as they do for `torch.amp.GradScaler`, so the host does not wait for the
    device after every minibatch. (Adam on devices without a fused kernel has to.)
    """
    if isinstance(optimizer, Lamb) or optimizer.defaults.get("fused"):
        optimizer.found_inf = (~apply).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif bool(apply):
        optimizer.step()


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Every parameter group gets `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """The state as `exp_avg.<parameter>`, `exp_avg_sq.<parameter>`, `step.<parameter>`."""
    return {
        f"{kind}.{names[param]}": torch.as_tensor(value)
        for param, state in optimizer.state.items()
        for kind, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor]
) -> None:
    """Put named state back. Learning rate, betas and eps stay those of the present configuration.

    Raises:
        UsageError: a tensor belongs to no parameter or has another shape.
    """
    by_name = {name: param for param, name in names.items()}
    index = {param: i for i, param in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, dict[str, Any]] = {}
    for full_name, tensor in tensors.items():
        kind, _, name = full_name.partition(".")
        param = by_name.get(name)
        if param is None or (kind != "step" and param.shape != tensor.shape):
            raise UsageError(
                f"The checkpoint's optimizer state {full_name!r} does not fit this model; "
                "resume with the model's own configuration or start another --experiment."
            )
        # in the parameter's memory order, such as channels_last: fused optimizers go through the memory of both at once
        like = torch.empty_like(param, dtype=tensor.dtype, device="cpu") if kind != "step" else torch.empty_like(tensor)
        state.setdefault(index[param], {})[kind] = like.copy_(tensor)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _fused(params: list[torch.nn.Parameter]) -> bool | None:
    """One kernel for all of Adam; half the time of the plain loop on a CPU, and it can skip a step by itself."""
    return True if all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in params) else None
