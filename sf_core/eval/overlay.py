"""What goes on in the policy, drawn beside the picture of the environment.

In: the environment's picture, one moment of playing. Out: a picture with a panel: the value, the return so far, what
the policy saw, the probability of each action with the chosen one marked. Of several agents the first one is shown,
whose eyes most environments draw through. Knows nothing of windows and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from sf_core.envs.spaces import is_action_mask
from sf_core.envs.timestep import AgentVector
from sf_core.eval.evaluate import Moment
from sf_core.eval.video import enlarge
from sf_core.model.action_distribution import ActionDistribution
from sf_core.model.action_mask import ActionMaskReader
from sf_core.model.policy import Policy

_WIDTH, _MARGIN, _LINE = 232, 10, 15  # pixels
_LEAST_HEIGHT = 320
_THUMBNAIL = 100  # pixels, longer side of what the policy saw
_MOST_FRAMES = 2  # of a stack, the newest
_MOST_CHOICES = 18  # of all actions; beyond that the most probable ones
_MOST_NUMBERS = 8
_LEAST_SIDE = 8  # below it an array is no image
_BACKGROUND, _TEXT, _DIM = (18, 20, 24), (235, 235, 235), (140, 146, 156)
_BAR, _CHOSEN, _EMPTY = (78, 121, 167), (242, 142, 43), (45, 49, 56)


class Overlay:
    """Draws panels for one policy and one environment. It adds up the return, so it must see every moment once."""

    def __init__(self, policy: Policy, vector: AgentVector) -> None:
        self._policy = policy
        self._leaves = vector.observation_space.spaces
        self._masks = ActionMaskReader(self._leaves, policy.layout.parts)
        self._several = vector.agents_per_env > 1
        self._font = ImageFont.load_default(size=12)
        self._return = 0.0
        self._height = 0

    def draw(self, picture: np.ndarray, moment: Moment) -> np.ndarray:
        """The picture `[H, W, 3]` with the panel to its right; the same size for every picture of one size."""
        self._return += float(moment.step.reward[0])
        picture = enlarge(np.ascontiguousarray(picture, np.uint8))
        panel = Image.new("RGB", (_WIDTH, 4 * _LEAST_HEIGHT), _BACKGROUND)
        bottom = self._fill(ImageDraw.Draw(panel), panel, moment)
        if not self._height:  # later panels have as many lines
            self._height = max(picture.shape[0], _LEAST_HEIGHT, bottom + _MARGIN)
        if moment.step.episode_end[0]:
            self._return = 0.0
        canvas = Image.new("RGB", (picture.shape[1] + _WIDTH, self._height), _BACKGROUND)
        canvas.paste(Image.fromarray(picture), (0, (self._height - picture.shape[0]) // 2))
        canvas.paste(panel.crop((0, 0, _WIDTH, self._height)), (picture.shape[1], 0))
        return np.asarray(canvas)

    def _fill(self, pen: ImageDraw.ImageDraw, panel: Image.Image, moment: Moment) -> int:
        y = _MARGIN
        if self._several:
            y = self._line(pen, y, "agent 0", "")
        y = self._line(pen, y, "value", f"{float(moment.output.value[0]):.3f}")
        y = self._line(pen, y, "return so far", f"{self._return:.2f}")
        y = self._observation(pen, panel, y + _LINE // 2, moment)
        return self._actions(pen, y + _LINE // 2, moment)

    def _line(self, pen: ImageDraw.ImageDraw, y: int, name: str, value: str) -> int:
        pen.text((_MARGIN, y), name, fill=_DIM, font=self._font)
        pen.text((_WIDTH - _MARGIN, y), value, fill=_TEXT, font=self._font, anchor="ra")
        return y + _LINE

    # ---- what it saw ----

    def _observation(self, pen: ImageDraw.ImageDraw, panel: Image.Image, y: int, moment: Moment) -> int:
        for key, space in self._leaves.items():
            if is_action_mask(key):
                continue
            array = moment.observation[key][0]
            y = self._line(pen, y, f"saw: {key}", " x ".join(map(str, array.shape)))
            frames = images_in(array, space)
            y = self._thumbnails(panel, y, frames) if frames else self._numbers(pen, y, array)
        return y

    def _thumbnails(self, panel: Image.Image, y: int, frames: Sequence[np.ndarray]) -> int:
        x = _MARGIN
        for frame in frames[-_MOST_FRAMES:]:
            image = Image.fromarray(frame).convert("RGB")
            scale = _THUMBNAIL / max(image.size)
            image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
            panel.paste(image, (x, y))
            x += _THUMBNAIL + _MARGIN
        height: int = round(frames[-1].shape[0] * _THUMBNAIL / max(frames[-1].shape[:2]))
        return y + height + _MARGIN // 2

    def _numbers(self, pen: ImageDraw.ImageDraw, y: int, array: np.ndarray) -> int:
        numbers = [f"{number:.3g}" for number in array.reshape(-1)[: _MOST_NUMBERS + 1]]
        if len(numbers) > _MOST_NUMBERS:
            numbers[-1] = "..."
        for first in range(0, len(numbers), 4):
            for column, text in enumerate(numbers[first : first + 4]):
                pen.text((_MARGIN + 54 * column, y), text, fill=_TEXT, font=self._font)
            y += _LINE
        return y

    # ---- what it did ----

    def _actions(self, pen: ImageDraw.ImageDraw, y: int, moment: Moment) -> int:
        distribution = self._distribution(moment)
        layout = self._policy.layout
        y = self._line(pen, y, "action", "probability" if layout.num_groups else "mean ± std")
        chosen = {name: np.asarray(action[0].cpu()).reshape(-1) for name, action in moment.output.action.items()}
        group = real = 0
        several = len(layout.parts) > 1 or max(layout.num_elements) > 1
        left = _MOST_CHOICES
        for part, size in zip(layout.parts, layout.num_elements, strict=True):
            for element in range(size):
                name = f"{part.name}[{element}]" if size > 1 else part.name
                if part.kind == "discrete":
                    assert distribution.log_probs is not None
                    probabilities = distribution.log_probs[0, group, : part.sizes[element]].exp().tolist()
                    if several:
                        y = self._line(pen, y, name, "")
                    number = max(2, min(len(probabilities), left // max(1, layout.num_groups - group)))
                    left -= number
                    start = int(np.asarray(part.start).reshape(-1)[element])
                    y = self._bars(pen, y, probabilities, int(chosen[part.name][element]), start, number)
                    group += 1
                elif real < _MOST_NUMBERS:
                    assert distribution.mean is not None
                    assert distribution.log_stddev is not None
                    mean, stddev = float(distribution.mean[0, real]), float(distribution.log_stddev[0, real].exp())
                    y = self._line(pen, y, f"{name}  {chosen[part.name][element]:.2f}", f"{mean:.2f} ± {stddev:.2f}")
                    real += 1
        return y

    def _bars(
        self, pen: ImageDraw.ImageDraw, y: int, probabilities: list[float], chosen: int, start: int, number: int
    ) -> int:
        """One bar for each choice; where there are more than `number`, the most probable ones and the chosen one."""
        shown = list(range(len(probabilities)))
        if len(shown) > number:
            others = sorted((index for index in shown if index != chosen), key=lambda index: -probabilities[index])
            shown = sorted([chosen, *others[: number - 1]])
        left, right = _MARGIN + 30, _WIDTH - _MARGIN - 48
        for index in shown:
            colour = _CHOSEN if index == chosen else _BAR
            pen.text((_MARGIN, y), str(start + index), fill=_TEXT if index == chosen else _DIM, font=self._font)
            pen.rectangle((left, y + 3, right, y + _LINE - 4), fill=_EMPTY)
            length = round((right - left) * probabilities[index])
            if length:
                pen.rectangle((left, y + 3, left + length, y + _LINE - 4), fill=colour)
            pen.text(
                (_WIDTH - _MARGIN, y),
                f"{100 * probabilities[index]:.1f} %",
                fill=_TEXT if index == chosen else _DIM,
                font=self._font,
                anchor="ra",
            )
            y += _LINE
        return y

    def _distribution(self, moment: Moment) -> ActionDistribution:
        masks = {key: torch.as_tensor(x[:1]) for key, x in moment.observation.items() if is_action_mask(key)}
        logits = moment.output.action_logits[:1].detach().float().cpu()
        return ActionDistribution(self._policy.layout, logits, self._masks.read(masks) if masks else None)


def images_in(array: np.ndarray, space: Any) -> list[np.ndarray]:
    """The images in one observation, oldest first: `[H, W]` or `[H, W, 3]` uint8 each; empty if it is no image.

    Args:
        array: `[H, W]`, `[C, H, W]` or `[H, W, C]`; channels are colours, frames of a stack, or both.
        space: its space, whose bounds are black and white; open ones give way to what occurs.
    """
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[2] < array.shape[0]:
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or min(array.shape[1:]) < _LEAST_SIDE:
        return []
    array = _as_bytes(array, space)
    colours = 3 if array.shape[0] % 3 == 0 else 1
    frames = array.reshape(-1, colours, *array.shape[1:])
    return [np.ascontiguousarray(frame.transpose(1, 2, 0) if colours == 3 else frame[0]) for frame in frames]


def _as_bytes(array: np.ndarray, space: Any) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    low, high = float(np.min(space.low)), float(np.max(space.high))
    if not np.isfinite(low + high) or high - low > 1e6:
        low, high = float(array.min()), float(array.max())
    scaled: np.ndarray = np.clip((array - low) / ((high - low) or 1.0) * 255, 0, 255).astype(np.uint8)
    return scaled
