"""How the network is run: in which precision, compiled or not, replayed or not. What it computes is its own business.

In: a network, its device, the choices behind `--amp`, `--compile` and `--cuda_graphs`. Out: functions with the
signatures of `ActorCritic.forward_head`, `_core`, `_core_sequence` and `_tail`, and one step of all of them. With the
defaults these are the network's own methods. Not known here: observations, actions, losses.

* bf16: encoder and memory compute in bfloat16 (`torch.autocast`); weights, the recurrent state between steps, decoder
  and heads stay float32, and so does everything outside of the network: normalisers, log-probabilities, advantages,
  losses. Gradients are as large as ever, so nothing has to be scaled.
* compile: `torch.compile` of the encoder, where the time goes. It is the method that is compiled, not the module, so
  names of weights stay what they are.
* CUDA graphs: see `graphs.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sf_core.model.actor_critic import ActorCritic
from sf_core.model.core import redefines
from sf_core.model.graphs import ReplayedStep, Step
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

_BACKEND = "inductor"


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """Choices that change how fast the network is, and, in bf16, how many digits it keeps."""

    bf16: bool = False
    compiled: bool = False
    cuda_graphs: bool = False

    @classmethod
    def from_cfg(cls, cfg: AttrDict) -> ForwardOptions:
        """As the flags say."""
        return cls(cfg.amp == "bf16", bool(cfg.compile), bool(cfg.cuda_graphs))


class Forward:
    """The functions that a policy calls instead of the network's methods.

    Args:
        network: with `in_parts`, its head, core and tail are used, else its `forward` alone.
        device: where it is.
        in_parts: see `has_forward_parts`.
        options: how it is run.

    Raises:
        UsageError: this machine cannot do what `options` ask for.
    """

    def __init__(
        self, network: ActorCritic, device: torch.device, in_parts: bool, options: ForwardOptions | None = None
    ) -> None:
        options = options or ForwardOptions()
        self.head: Callable[..., Tensor] = network.forward_head
        self.core: Callable[..., tuple[Tensor, Tensor]] = network.forward_core
        self.core_sequence: Callable[..., Tensor] = network.forward_core_sequence
        if redefines(network, "forward_core", without="forward_core_sequence"):
            self.core_sequence = partial(ActorCritic.forward_core_sequence, network)  # steps the new one
        self.tail: Callable[..., dict[str, Any]] = network.forward_tail
        self.whole: Callable[..., dict[str, Any]] = network
        if options.compiled:
            _check_compiler(device)
            self.head = torch.compile(self.head, backend=_BACKEND)
            if not in_parts:
                self.whole = torch.compile(network.forward, backend=_BACKEND)
        if options.bf16:
            _check_bf16(device)
            self.head = _in_bf16(self.head, device, widen=False)
            self.core, self.core_sequence, self.whole = (
                _in_bf16(function, device, widen=True) for function in (self.core, self.core_sequence, self.whole)
            )
        self.step: Step = self._step if in_parts else self._whole_step
        """One step on normalised observations `{key: [N, *space]}`, states `[N, H]` and a mask `[N, C]` or None."""
        if options.cuda_graphs and in_parts and device.type == "cuda":
            torch.cuda.set_device(device)  # recordings are made on the current one
            self.step = ReplayedStep(self._step)

    def _step(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> dict[str, Any]:
        core_output, new_rnn_states = self.core(self.head(inputs), rnn_state)
        masked = {} if mask is None else {"action_mask": mask}
        result = self.tail(core_output, values_only=False, sample_actions=False, **masked)
        result["new_rnn_states"] = new_rnn_states
        return result

    def _whole_step(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> dict[str, Any]:
        masked = {} if mask is None else {"action_mask": mask}
        return dict(self.whole(inputs, rnn_state, **masked))


def _in_bf16(function: Callable[..., Any], device: torch.device, *, widen: bool) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        # a graph must not capture the cast of a weight that only its first use needs
        cached = not (device.type == "cuda" and torch.cuda.is_current_stream_capturing())
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=cached):
            result = function(*args, **kwargs)
        return _widened(result) if widen else result

    return run


def _widened(result: Any) -> Any:
    if isinstance(result, Tensor):
        return result.float() if result.dtype == torch.bfloat16 else result
    if isinstance(result, Mapping):
        return {key: _widened(value) for key, value in result.items()}
    return tuple(_widened(value) for value in result) if isinstance(result, tuple) else result


def _check_bf16(device: torch.device) -> None:
    supported = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
    if not supported:
        raise UsageError(f"--amp=bf16: {device} cannot compute in bfloat16; leave it out, or use --device=cpu")


def _check_compiler(device: torch.device) -> None:
    """Compile something small: whether that works depends on compilers, headers and versions that nobody can list."""
    # by itself it starts a pool of processes, which would outlive one that is killed
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    try:
        torch.compile(lambda x: x + 1, backend=_BACKEND)(torch.zeros(8, device=device))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        needed = "Triton" if device.type == "cuda" else "a C++ compiler (g++ or clang++)"
        raise UsageError(
            f"--compile=True: torch.compile does not work here, it needs {needed}; install it, or leave --compile out "
            f"({type(error).__name__}: {reason})"
        ) from error
