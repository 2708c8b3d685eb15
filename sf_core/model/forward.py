"""How the network is run: in which precision, compiled or not, replayed or not. What it computes is its own business.

In: a network, its device, the choices behind `--amp`, `--compile` and `--cuda_graphs`. Out: one step of the network,
its values alone, whole segments; in its parts (`forward_head`, `_core`, `_tail`) or, where it defines `forward` alone,
with one call per step. With the defaults what is called are the network's own methods. Not known here: observations,
actions, losses.

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

from sf_core.model.actor_critic import ActorCritic, has_forward_parts
from sf_core.model.core import redefines, run_past_gaps
from sf_core.model.graphs import ReplayedStep, Step
from sf_core.plugins.plan import accepts
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

    Inputs are normalised observations without masks, `{key: [N, *space]}`, states `[N, H]`, masks `[N, C]` or None.

    Args:
        network: what is run.
        device: where it is.
        options: how it is run.

    Raises:
        UsageError: this machine cannot do what `options` ask for.
    """

    def __init__(self, network: ActorCritic, device: torch.device, options: ForwardOptions | None = None) -> None:
        options = options or ForwardOptions()
        self._network = network
        self._in_parts = in_parts = has_forward_parts(network)
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
        """One step: `values`, `action_logits`, `new_rnn_states`, and whatever else the network says."""
        if options.cuda_graphs and in_parts and device.type == "cuda":
            torch.cuda.set_device(device)  # recordings are made on the current one
            self.step = ReplayedStep(self._step)

    def check_takes_mask(self) -> None:
        """Refuse a network that has no use for an action mask (`UsageError`)."""
        method = "forward_tail" if self._in_parts else "forward"
        if not accepts(getattr(self._network, method), "action_mask"):
            raise UsageError(
                f"the env offers an action mask, but {type(self._network).__name__}.{method} does not accept one; "
                "give it a parameter action_mask=None"
            )

    def values(self, inputs: Mapping[str, Tensor], rnn_state: Tensor) -> Tensor:
        """`[N]`, units of the value head."""
        if self._in_parts:
            core_output, _ = self.core(self.head(inputs), rnn_state)
            result = self.tail(core_output, values_only=True, sample_actions=False)
        else:
            result = self.whole(inputs, rnn_state, values_only=True)
        values: Tensor = result["values"].reshape(-1)
        return values

    def segments(
        self,
        inputs: Mapping[str, Tensor],
        rnn_state: Tensor,
        episode_start: Tensor,
        mask: Tensor | None,
        inactive: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """G segments of L steps, whose N = G * L rows follow one another; with gradients.

        Args:
            inputs: as above.
            rnn_state: `[G, H]`, enters the first step of each segment.
            episode_start: `[G, L]` bool; the state is zero entering a step where it is True.
            mask: as above.
            inactive: `[G, L]` bool, steps that the state passes by; None = none.

        Returns:
            `values [N]` and `action_logits [N, P]`.
        """
        if self._in_parts:
            return self._segments_in_parts(inputs, rnn_state, episode_start, mask, inactive)
        return self._segments_stepwise(inputs, rnn_state, episode_start, mask, inactive)

    def _segments_in_parts(
        self,
        inputs: Mapping[str, Tensor],
        rnn_state: Tensor,
        episode_start: Tensor,
        mask: Tensor | None,
        inactive: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        num_segments, length = episode_start.shape
        head_output = self.head(inputs)  # [N, E]
        if length == 1:
            core_output, _ = self.core(head_output, rnn_state.masked_fill(episode_start, 0.0))
        else:
            by_time = head_output.view(num_segments, length, -1).transpose(0, 1)  # [L, G, E]
            if inactive is None:
                core_output = self.core_sequence(by_time, rnn_state, episode_start.t())
            else:
                core_output = run_past_gaps(self.core_sequence, by_time, rnn_state, episode_start.t(), inactive.t())
            core_output = core_output.transpose(0, 1).flatten(0, 1)  # [N, C]
        result = self.tail(core_output, values_only=False, sample_actions=False, **_masked(mask))
        return result["values"].reshape(-1), result["action_logits"]

    def _segments_stepwise(
        self,
        inputs: Mapping[str, Tensor],
        rnn_state: Tensor,
        episode_start: Tensor,
        mask: Tensor | None,
        inactive: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        shape = episode_start.shape
        inputs = {key: x.view(*shape, *x.shape[1:]) for key, x in inputs.items()}  # [G, L, *space]
        mask = None if mask is None else mask.view(*shape, -1)
        values, logits = [], []
        for t in range(shape[1]):
            rnn_state = rnn_state.masked_fill(episode_start[:, t : t + 1], 0.0)
            mask_t = None if mask is None else mask[:, t]
            result = self.whole({key: x[:, t] for key, x in inputs.items()}, rnn_state, **_masked(mask_t))
            new_state = result["new_rnn_states"]
            rnn_state = new_state if inactive is None else torch.where(inactive[:, t : t + 1], rnn_state, new_state)
            values.append(result["values"].reshape(-1))
            logits.append(result["action_logits"])
        return torch.stack(values, dim=1).flatten(), torch.stack(logits, dim=1).flatten(0, 1)

    def _step(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> dict[str, Any]:
        core_output, new_rnn_states = self.core(self.head(inputs), rnn_state)
        result = self.tail(core_output, values_only=False, sample_actions=False, **_masked(mask))
        result["new_rnn_states"] = new_rnn_states
        return result

    def _whole_step(self, inputs: Mapping[str, Tensor], rnn_state: Tensor, mask: Tensor | None) -> dict[str, Any]:
        return dict(self.whole(inputs, rnn_state, **_masked(mask)))


def _masked(mask: Tensor | None) -> dict[str, Tensor]:
    """A mask as an argument, for networks that need not take one."""
    return {} if mask is None else {"action_mask": mask}


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
