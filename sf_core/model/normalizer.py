"""Running statistics of observations and returns, and the normalisation made from them.

In: batches of raw tensors with a mask of the rows that count. Out: float32 tensors of about unit size. Statistics are
float64 buffers of the model, so they travel with its weights; arithmetic on the way to the network is float32.
Whoever calls `update` decides when: this file knows neither rollouts nor versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

from sf_core.envs.spaces import LONE_OBSERVATION, is_action_mask
from sf_core.model.layers import module_name, to_float32
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

EPSILON = 1e-5
CLIP = 5.0
_MAX_CHUNK_ELEMENTS = 4_000_000  # bounds the memory of an update on images; about 32 MB in float64
_BYTE_ROWS = 64  # 64 * 255² < 2²⁴


class RunningMeanStd(nn.Module):
    """Mean and variance of everything seen so far, one statistic per element of `shape`.

    Starts as one imaginary sample with mean 0 and variance 1, so it is the identity before the first update. Batches
    are merged by Chan, Golub and LeVeque 1979 (population variances), without forgetting.

    Buffers (float64): `mean`, `var` `[*shape]`, `count` `[]`.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(tuple(shape), dtype=torch.float64))
        self.register_buffer("var", torch.ones(tuple(shape), dtype=torch.float64))
        self.register_buffer("count", torch.ones((), dtype=torch.float64))
        self._cache: _Cached | None = None

    @torch.no_grad()
    def update(self, x: Tensor, valid: Tensor | None = None, *, subtract: float = 0.0, scale: float = 1.0) -> None:
        """Add `(x - subtract) / scale` for the rows of `x` `[..., *shape]` where `valid` `[...]` is True (None = all).

        Statistics are those of `x`, moved and scaled afterwards, so that no batch of images is converted for them.
        """
        rows = x.reshape(-1, *self.mean.shape)
        keep = None if valid is None or bool(valid.all()) else valid.reshape(-1)
        chunk_rows = max(1, _MAX_CHUNK_ELEMENTS // max(1, self.mean.numel()))
        for start in range(0, rows.shape[0], chunk_rows):
            chunk = rows[start : start + chunk_rows]
            if keep is not None:
                chunk = chunk[keep[start : start + chunk_rows]]
            if chunk.shape[0]:
                mean, var = _moments(chunk)
                self._merge((mean.to(self.mean) - subtract) / scale, var.to(self.var) / scale**2, chunk.shape[0])

    def normalize(self, x: Tensor) -> Tensor:
        """`clamp((x - mean) / sqrt(var + 1e-5), -5, 5)` as float32; `x` is `[..., *shape]` and is left alone."""
        cached = self._cached(x.device)
        if x.dtype == torch.float64:  # subtract first: a time stamp in seconds does not fit a float32
            x = (x - self.mean.to(x.device)).to(torch.float32)
        else:
            wide = to_float32(x, self.mean.ndim)
            x = wide - cached.mean if wide is x else wide.sub_(cached.mean)
        return x.mul_(cached.inverse_std).clamp_(-CLIP, CLIP)

    def denormalize(self, x: Tensor) -> Tensor:
        """`clamp(x, -5, 5) * sqrt(var + 1e-5) + mean`: the inverse of `normalize` inside its limits."""
        cached = self._cached(x.device)
        return x.clamp(-CLIP, CLIP).mul_(cached.std).add_(cached.mean)

    def summaries(self, name: str) -> dict[str, float]:
        """`{name}_running_mean` and `{name}_running_std`, the mean over the elements; waits for the device."""
        return {
            f"{name}_running_mean": float(self.mean.mean()),
            f"{name}_running_std": float((self.var + EPSILON).sqrt().mean()),
        }

    def forward(self, x: Tensor) -> Tensor:
        """The same as `normalize`."""
        return self.normalize(x)

    def _merge(self, mean: Tensor, var: Tensor, count: int) -> None:
        total = self.count + count
        delta = mean - self.mean
        weight = count / total
        # var first: it needs the old mean and count
        self.var.copy_((self.var * self.count + var * count + delta.square() * self.count * weight) / total)
        self.mean.add_(delta * weight)
        self.count.copy_(total)

    def _cached(self, device: torch.device) -> _Cached:
        """Float32 copies for the forward pass, made again whenever the buffers were written to or replaced."""
        cache = self._cache
        if (
            cache is None
            or cache.source is not self.mean
            or cache.versions != (self.mean._version, self.var._version)
            or cache.mean.device != device
        ):
            # outside inference mode, else autograd could not use what acting cached
            with torch.inference_mode(False), torch.no_grad():
                std = (self.var + EPSILON).sqrt()
                mean, inverse_std, std = (
                    _image_layout(x.to(torch.float32)).to(device) for x in (self.mean, 1 / std, std)
                )
            cache = _Cached(self.mean, (self.mean._version, self.var._version), mean, std, inverse_std)
            self._cache = cache
        return cache

    def _apply(self, fn: Any, recurse: bool = True) -> RunningMeanStd:
        # Metal has no float64: there the statistics stay on the CPU and only the float32 copies move
        if fn(torch.zeros(())).device.type == "mps":
            return self
        for name in ("mean", "var", "count"):
            buffer = getattr(self, name)
            moved = fn(buffer)
            # `model.half()` or `.float()` must not narrow the statistics
            setattr(self, name, moved if moved.dtype == torch.float64 else buffer.to(moved.device))
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": None}


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population variance of `rows` `[N, *shape]`, as exact as the device allows."""
    if rows.dtype == torch.uint8:
        return _byte_moments(rows)
    # an accelerator without float64 reduces in float32; the merged statistics stay float64
    wide = rows.float() if rows.device.type == "mps" else rows.double()
    var, mean = torch.var_mean(wide, dim=0, correction=0)
    return mean, var


def _byte_moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The same for bytes, twenty times as fast: sums over few rows are integers that float32 holds exactly."""
    wide = torch.float32 if rows.device.type == "mps" else torch.float64
    sums = torch.zeros(rows.shape[1:], dtype=wide, device=rows.device)
    squares = torch.zeros_like(sums)
    for few in rows.split(_BYTE_ROWS):  # type: ignore[no-untyped-call]
        numbers = few.to(torch.float32)
        sums += numbers.sum(0)
        squares += numbers.square_().sum(0)
    mean = sums / rows.shape[0]
    return mean, (squares / rows.shape[0] - mean.square()).clamp_(min=0.0)


class _Cached(NamedTuple):
    source: Tensor
    versions: tuple[int, int]
    mean: Tensor  # [*shape] float32
    std: Tensor
    inverse_std: Tensor


def _image_layout(x: Tensor) -> Tensor:
    """`[C, H, W]` statistics in the memory order of the channels_last images they are combined with."""
    return x.permute(1, 2, 0).contiguous().permute(2, 0, 1) if x.ndim == 3 else x


class ReturnsNormalizer(RunningMeanStd):
    """Running statistics of value targets: one mean and one variance."""

    def __init__(self) -> None:
        super().__init__(())


class FrozenMeanStd(RunningMeanStd):
    """The normalisation of `source` as an exported graph wants it: constants, and no memory that is written twice."""

    mean32: Tensor
    std32: Tensor
    inverse_std32: Tensor

    def __init__(self, source: RunningMeanStd) -> None:
        super().__init__(source.mean.shape)
        self.load_state_dict(source.state_dict())
        constants = source._cached(self.mean.device)
        self.register_buffer("mean32", constants.mean.clone(), persistent=False)
        self.register_buffer("std32", constants.std.clone(), persistent=False)
        self.register_buffer("inverse_std32", constants.inverse_std.clone(), persistent=False)

    def normalize(self, x: Tensor) -> Tensor:
        """See the base class."""
        wide = (x - self.mean).to(torch.float32) if x.dtype == torch.float64 else x.to(torch.float32) - self.mean32
        return (wide * self.inverse_std32).clamp(-CLIP, CLIP)

    def denormalize(self, x: Tensor) -> Tensor:
        """See the base class."""
        return x.clamp(-CLIP, CLIP) * self.std32 + self.mean32


class ObservationNormalizer(nn.Module):
    """Raw observations to what encoders take: float32, scaled by constants, normalised by running statistics.

    * `(x - obs_subtract_mean) / obs_scale`, on the key `obs` only, as in Sample Factory.
    * With `normalize_input`: running statistics per element, on `normalize_input_keys` (None = every key).
    * Discrete and MultiDiscrete leaves stay the integers they are (encoders turn them into one-hot vectors), and so
      do action masks. Every other leaf becomes float32.

    Args:
        obs_space: flat Dict of leaves.
        cfg: reads the four options named above.
    """

    def __init__(self, obs_space: spaces.Dict, cfg: AttrDict) -> None:
        super().__init__()
        self.in_place = True  # whether memory of its own is computed on in place; an exported graph has none
        self.subtract_mean = float(cfg.obs_subtract_mean)
        self.scale = float(cfg.obs_scale)
        chosen = cfg.normalize_input_keys
        unknown = sorted(set(chosen or ()) - set(obs_space.spaces))
        if unknown and cfg.normalize_input:
            raise UsageError(
                f"--normalize_input_keys names {unknown[0]!r}; the observations are {', '.join(obs_space.spaces)}"
            )
        self.numeric_keys = tuple(
            key
            for key, leaf in obs_space.spaces.items()
            if isinstance(leaf, spaces.Box | spaces.MultiBinary) and not is_action_mask(key)
        )
        self.normalized_keys = tuple(
            key for key in self.numeric_keys if cfg.normalize_input and (chosen is None or key in chosen)
        )
        shapes = {key: obs_space[key].shape or () for key in self.numeric_keys}
        self.ranks = {key: len(shape) for key, shape in shapes.items()}
        self.running = nn.ModuleDict({module_name(key): RunningMeanStd(shapes[key]) for key in self.normalized_keys})

    def forward(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw `{key: [..., *space]}` to normalised; the tensors given are left alone."""
        return {key: self._normalize(key, x) for key, x in observation.items()}

    @torch.no_grad()
    def update(self, observation: Mapping[str, Tensor], valid: Tensor | None = None) -> None:
        """Add raw rows `{key: [..., *space]}` to the statistics, only those where `valid` `[...]` is True."""
        for key in self.normalized_keys:
            subtract, scale = (self.subtract_mean, self.scale) if key == LONE_OBSERVATION else (0.0, 1.0)
            self._statistics(key).update(observation[key], valid, subtract=subtract, scale=scale)

    def summaries(self) -> dict[str, float]:
        """See `RunningMeanStd.summaries`, for every normalised key."""
        return {
            name: value for key in self.normalized_keys for name, value in self._statistics(key).summaries(key).items()
        }

    def _normalize(self, key: str, x: Tensor) -> Tensor:
        if key not in self.numeric_keys:
            return x
        x = self._fixed_scale(key, x)
        if key in self.normalized_keys:
            return self._statistics(key).normalize(x)
        return to_float32(x, self.ranks[key])

    def _fixed_scale(self, key: str, x: Tensor) -> Tensor:
        if key != LONE_OBSERVATION or (self.subtract_mean == 0.0 and self.scale == 1.0):
            return x
        wide = x if x.dtype == torch.float64 else to_float32(x, self.ranks[key])
        if not self.in_place:
            return (wide - self.subtract_mean) / self.scale
        if wide is x:
            return (x - self.subtract_mean).div_(self.scale)
        return (wide.sub_(self.subtract_mean) if self.subtract_mean else wide).div_(self.scale)

    def _statistics(self, key: str) -> RunningMeanStd:
        statistics = self.running[module_name(key)]
        assert isinstance(statistics, RunningMeanStd)
        return statistics
