"""The distribution over actions for every action space: sample, mode, log-probability, entropy, KL. Masks live here.

In: action logits `[..., P]` as the network made them and, where the env offers one, a mask of legal choices
`[..., C]`. Out: actions as `{part: [..., *part.shape]}`, and scalars per row. The distribution is the product of
independent ones: a categorical for each element of a discrete part, a Gaussian for each element of a box.

Layout of the logits: the parts in the order of the space; for a discrete part one logit per choice, element after
element; for a box all means, then all log-stddevs. The mask has one entry per choice, in the same order, without boxes.

An illegal choice gets a huge negative but finite logit, so its probability is exactly 0 while products with it, and
gradients, stay finite. This file knows neither networks nor environments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sf_core.envs.spaces import ActionPart

MIN_LOG_STDDEV = math.log(1e-4)
MAX_LOG_STDDEV = math.log(1e4)
ILLEGAL_LOGIT = torch.finfo(torch.float32).min / 2  # half: subtracting the largest logit must not overflow

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class ActionLayout:
    """Where each part of an action space lies in the logits; worked out once per model.

    Attributes:
        num_parameters: P.
        num_choices: C, the width of an action mask; 0 without discrete parts.
        num_groups: number of categoricals, one per element of a discrete part.
        num_reals: number of Gaussians, one per element of a box.
    """

    def __init__(self, parts: Sequence[ActionPart]) -> None:
        self.parts = tuple(parts)
        self.num_elements = [part.num_elements for part in self.parts]
        self.sizes: list[int] = []  # choices of each categorical
        first_logit: list[int] = []  # of each categorical
        mean: list[int] = []  # position of the mean of each Gaussian
        log_stddev: list[int] = []
        position = 0
        for part in self.parts:
            for size in part.sizes:
                self.sizes.append(size)
                first_logit.append(position)
                position += size
            if part.kind == "box":
                mean += range(position, position + part.num_elements)
                log_stddev += range(position + part.num_elements, position + 2 * part.num_elements)
                position += 2 * part.num_elements
        self.num_parameters = position
        self.num_choices = sum(self.sizes)
        self.num_groups = len(self.sizes)
        self.num_reals = len(mean)
        self.max_size = max(self.sizes, default=0)
        # equal categoricals and nothing else: the logits need no gathering, only a view
        self.uniform = self.num_reals == 0 and all(size == self.max_size for size in self.sizes)
        self.pure_box = self.num_groups == 0 and len(self.parts) == 1
        first_choice = [sum(self.sizes[:group]) for group in range(self.num_groups)]
        choices = range(self.max_size)
        self._plain = _LayoutIndices(
            # a categorical with fewer choices than the largest repeats its first; `real` tells them apart
            logit=torch.tensor(
                [f + (c if c < n else 0) for f, n in zip(first_logit, self.sizes, strict=True) for c in choices]
            ),
            choice=torch.tensor(
                [f + (c if c < n else 0) for f, n in zip(first_choice, self.sizes, strict=True) for c in choices]
            ),
            real=torch.tensor([[c < n for c in choices] for n in self.sizes], dtype=torch.bool),
            mean=torch.tensor(mean, dtype=torch.int64),
            log_stddev=torch.tensor(log_stddev, dtype=torch.int64),
        )
        self._on_device = {torch.device("cpu"): self._plain}

    def as_parts(self, actions: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Actions as `{part: [N, *part.shape]}`, also if given as one tensor `[N, elements]` (parts side by side)."""
        if isinstance(actions, Mapping):
            return dict(actions)
        flat = actions.reshape(actions.shape[0], -1)
        columns = torch.split_with_sizes(flat, self.num_elements, dim=-1)
        return {
            part.name: column.reshape(-1, *part.shape).to(torch.int64 if part.kind == "discrete" else torch.float32)
            for part, column in zip(self.parts, columns, strict=True)
        }

    def indices(self, device: torch.device) -> _LayoutIndices:
        """The index tensors on `device`."""
        found = self._on_device.get(device)
        if found is None:
            with torch.inference_mode(False):  # autograd must be able to save them later
                found = _LayoutIndices(*(x.to(device) for x in self._plain))
            self._on_device[device] = found
        return found


class _LayoutIndices(NamedTuple):
    logit: Tensor  # [G * M] position in the logits, G categoricals padded to M choices each
    choice: Tensor  # [G * M] position in the mask
    real: Tensor  # [G, M] bool, False where padded
    mean: Tensor  # [R] position in the logits
    log_stddev: Tensor  # [R]


class ActionDistribution:
    """Independent categoricals and Gaussians, with illegal choices taken out.

    Args:
        parts: the parts of the action space, or an `ActionLayout` made of them.
        logits: `[..., P]` float, before masking.
        mask: `[..., C]` bool or number, non-zero = legal; None = everything is. A categorical without any legal choice
            is treated as if all were legal: such rows come from states in which nobody acts (after an episode's end).
    """

    def __init__(self, parts: Sequence[ActionPart] | ActionLayout, logits: Tensor, mask: Tensor | None = None) -> None:
        layout = parts if isinstance(parts, ActionLayout) else ActionLayout(parts)
        if logits.shape[-1] != layout.num_parameters:
            raise ValueError(
                f"{logits.shape[-1]} action logits for an action space that has {layout.num_parameters} parameters"
            )
        self.layout = layout
        self.logits = logits
        self.mask = mask
        self.log_probs: Tensor | None = None  # [..., G, M]
        self.legal: Tensor | None = None  # [..., G, M] bool; None = all
        self.mean: Tensor | None = None  # [..., R]
        self.log_stddev: Tensor | None = None  # [..., R]
        if layout.num_groups:
            self._init_categoricals(logits, mask)
        if layout.num_reals:
            if layout.pure_box:
                mean, log_stddev = logits[..., : layout.num_reals], logits[..., layout.num_reals :]
            else:
                indices = layout.indices(logits.device)
                mean, log_stddev = logits[..., indices.mean], logits[..., indices.log_stddev]
            self.mean = mean
            self.log_stddev = log_stddev.clamp(MIN_LOG_STDDEV, MAX_LOG_STDDEV)

    def _init_categoricals(self, logits: Tensor, mask: Tensor | None) -> None:
        layout = self.layout
        shape = (*logits.shape[:-1], layout.num_groups, layout.max_size)
        if layout.uniform:
            grouped = logits.reshape(shape)
            legal = None if mask is None else mask.to(torch.bool).reshape(shape)
        else:
            indices = layout.indices(logits.device)
            grouped = logits[..., indices.logit].reshape(shape)
            legal = indices.real
            if mask is not None:
                legal = mask.to(torch.bool)[..., indices.choice].reshape(shape) & indices.real
        if legal is not None:
            if mask is not None:
                nothing = ~legal.any(-1, keepdim=True)
                legal = legal | (nothing if layout.uniform else nothing & layout.indices(logits.device).real)
            grouped = grouped.masked_fill(~legal, ILLEGAL_LOGIT)
        self.legal = legal
        self.log_probs = torch.log_softmax(grouped, dim=-1)

    def with_logits(self, logits: Tensor) -> ActionDistribution:
        """The distribution of other logits `[..., P]` over the same actions, with the same choices legal."""
        return ActionDistribution(self.layout, logits, self.mask)

    # ---- actions ----

    def sample(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """One action per row, `{part: [..., *part.shape]}`, drawn from `generator` (default: torch's global one)."""
        return self._to_parts(*self._draw(generator))

    def sample_with_log_prob(self, generator: torch.Generator | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """`sample`, and `log_prob` of it `[...]`, without taking the sample apart and together again."""
        choices, reals = self._draw(generator)
        return self._to_parts(choices, reals), self._log_prob(choices, reals)

    def _draw(self, generator: torch.Generator | None) -> tuple[Tensor | None, Tensor | None]:
        choices = reals = None
        if self.log_probs is not None:
            # argmax p / Exp(1) is distributed as p (the exponential races behind the Gumbel-max trick); p = 0 never
            # wins, as exponential_ never returns 0
            probs = self.log_probs.exp()
            choices = (probs / torch.empty_like(probs).exponential_(generator=generator)).argmax(-1)
        if self.mean is not None and self.log_stddev is not None:
            noise = torch.empty_like(self.mean).normal_(generator=generator)
            reals = torch.addcmul(self.mean, self.log_stddev.exp(), noise)
        return choices, reals

    def mode(self) -> dict[str, Tensor]:
        """The most probable choices and the means."""
        return self._to_parts(None if self.log_probs is None else self.log_probs.argmax(-1), self.mean)

    # ---- per row ----

    def log_prob(self, actions: Mapping[str, Tensor]) -> Tensor:
        """`[...]` joint log-probability (density, where there are boxes) of `{part: [..., *part.shape]}`."""
        return self._log_prob(*self._from_parts(actions))

    def _log_prob(self, choices: Tensor | None, reals: Tensor | None) -> Tensor:
        total: Tensor | None = None
        if self.log_probs is not None and choices is not None:
            total = _sum_last(self.log_probs.gather(-1, choices.unsqueeze(-1)).squeeze(-1))
        if self.mean is not None and self.log_stddev is not None and reals is not None:
            distance = (reals - self.mean) * torch.exp(-self.log_stddev)
            density = -0.5 * distance.square() - self.log_stddev - _HALF_LOG_TWO_PI
            total = _add(total, _sum_last(density))
        assert total is not None
        return total

    def entropy(self) -> Tensor:
        """`[...]` joint entropy in nats, over legal choices."""
        if self.log_probs is None:
            return self.box_entropy()
        entropy = -_sum_last((self.log_probs.exp() * self.log_probs).sum(-1))
        return entropy if self.log_stddev is None else entropy + self.box_entropy()

    def box_entropy(self) -> Tensor:
        """`[...]` entropy of the boxes alone, in nats; 0 where there is none."""
        if self.log_stddev is None:
            return self.logits.new_zeros(self.logits.shape[:-1])
        return _sum_last(self.log_stddev + (0.5 + _HALF_LOG_TWO_PI))

    def kl_divergence(self, other: ActionDistribution) -> Tensor:
        """`[...]` KL(self ‖ other) in nats; both over one action space and with one mask."""
        total: Tensor | None = None
        if self.log_probs is not None:
            assert other.log_probs is not None
            total = _sum_last((self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1))
        if self.mean is not None and self.log_stddev is not None:
            assert other.mean is not None
            assert other.log_stddev is not None
            log_ratio = self.log_stddev - other.log_stddev
            distance = (self.mean - other.mean) * torch.exp(-other.log_stddev)
            gaussian = 0.5 * (torch.exp(2 * log_ratio) + distance.square() - 1.0) - log_ratio
            total = _add(total, _sum_last(gaussian))
        assert total is not None
        return total

    def symmetric_kl_with_uniform(self) -> Tensor:
        """`[...]` ½ [KL(self ‖ U) + KL(U ‖ self)], U uniform over the legal choices of each categorical.

        Boxes are left out, as no uniform distribution covers the real line; without a discrete part it is 0.
        """
        if self.log_probs is None:
            return self.logits.new_zeros(self.logits.shape[:-1])
        if self.legal is None:
            count = torch.full_like(self.log_probs[..., :1], self.layout.max_size)
            of_uniform = self.log_probs.mean(-1)
        else:
            count = self.legal.sum(-1, keepdim=True).to(self.log_probs.dtype)
            of_uniform = torch.where(self.legal, self.log_probs, torch.zeros_like(self.log_probs)).sum(-1)
            of_uniform = of_uniform / count.squeeze(-1)
        log_count = count.log()
        # KL(p‖U) = Σ p (log p + log k);  KL(U‖p) = -log k - Σ log p / k over the legal choices
        from_uniform = -log_count.squeeze(-1) - of_uniform
        to_uniform = (self.log_probs.exp() * (self.log_probs + log_count)).sum(-1)
        return _sum_last(0.5 * (to_uniform + from_uniform))

    # ---- parts ----

    def _to_parts(self, choices: Tensor | None, reals: Tensor | None) -> dict[str, Tensor]:
        actions: dict[str, Tensor] = {}
        group = real = 0
        for part, size in zip(self.layout.parts, self.layout.num_elements, strict=True):
            if part.kind == "discrete":
                assert choices is not None
                flat, group = choices[..., group : group + size], group + size
            else:
                assert reals is not None
                flat, real = reals[..., real : real + size], real + size
            actions[part.name] = flat if len(part.shape) == 1 else flat.reshape(*flat.shape[:-1], *part.shape)
        return actions

    def _from_parts(self, actions: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """`{part: [..., *part.shape]}` as choices `[..., G]` and reals `[..., R]`."""
        choices: list[Tensor] = []
        reals: list[Tensor] = []
        leading = self.logits.shape[:-1]
        for part, size in zip(self.layout.parts, self.layout.num_elements, strict=True):
            flat = actions[part.name]
            if len(part.shape) != 1:
                flat = flat.reshape(*leading, size)
            if part.kind == "discrete":
                choices.append(flat.to(torch.int64))
            else:
                reals.append(flat)
        return _join(choices), _join(reals)


def _join(tensors: list[Tensor]) -> Tensor | None:
    if len(tensors) < 2:
        return tensors[0] if tensors else None
    return torch.cat(tensors, dim=-1)


def _sum_last(x: Tensor) -> Tensor:
    return x.squeeze(-1) if x.shape[-1] == 1 else x.sum(-1)


def _add(total: Tensor | None, x: Tensor) -> Tensor:
    return x if total is None else total + x
