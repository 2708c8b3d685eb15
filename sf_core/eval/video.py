"""Frames to a video file without a display: MP4 through the bundled ffmpeg, GIF where no encoder runs.

In: RGB frames [H, W, 3] uint8, one by one; nothing but the encoder's own buffer stays in memory for MP4.
Out: a file. Knows nothing of environments.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from sf_core.utils.log import log

_MIN_SIDE = 180
"""Small frames are enlarged to at least this many pixels, so that players show something."""


class _Encoder(Protocol):
    path: Path

    def write(self, frame: np.ndarray) -> None: ...

    def close(self) -> None: ...


class VideoWriter:
    """Streams frames into `path`; falls back to a GIF of the same name when MP4 cannot be written."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._encoder: _Encoder | None = None
        self.num_frames = 0

    @property
    def path(self) -> Path:
        """The file really written (`.mp4`, or `.gif` after the fallback)."""
        return self._encoder.path if self._encoder else self._path

    def write(self, frame: np.ndarray) -> None:
        """Add one RGB frame, shape [H, W, 3], uint8."""
        frame = enlarge(np.ascontiguousarray(frame, dtype=np.uint8))
        if self._encoder is None:
            self._encoder = self._open(frame)
        self._encoder.write(frame)
        self.num_frames += 1

    def _open(self, frame: np.ndarray) -> _Encoder:
        if self._path.suffix == ".mp4":
            try:
                return _Mp4(self._path, self._fps, frame.shape[1], frame.shape[0])
            except (ImportError, OSError, RuntimeError) as error:
                log.warning("MP4 cannot be written (%s); writing a GIF instead", error)
        return _Gif(self._path.with_suffix(".gif"), self._fps)

    def close(self) -> None:
        """Finish the file."""
        if self._encoder is not None:
            self._encoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Mp4:
    def __init__(self, path: Path, fps: float, width: int, height: int) -> None:
        import imageio_ffmpeg

        self.path = path
        imageio_ffmpeg.get_ffmpeg_exe()  # raises here, before the first frame, where there is no encoder
        self._stream: Generator[None, np.ndarray, None] = imageio_ffmpeg.write_frames(
            str(path), (width, height), fps=fps, codec="libx264", pix_fmt_in="rgb24", macro_block_size=2, quality=7
        )
        next(self._stream)  # starts the generator

    def write(self, frame: np.ndarray) -> None:
        self._stream.send(frame)

    def close(self) -> None:
        self._stream.close()


class _Gif:
    _MAX_FRAMES = 3000

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self._frame_ms = max(20, round(1000 / fps))
        self._frames: list[np.ndarray] = []

    def write(self, frame: np.ndarray) -> None:
        if len(self._frames) < self._MAX_FRAMES:
            self._frames.append(frame)

    def close(self) -> None:
        from PIL import Image

        if not self._frames:
            return
        images = [Image.fromarray(frame).quantize() for frame in self._frames]
        images[0].save(self.path, save_all=True, append_images=images[1:], duration=self._frame_ms, loop=0)


def enlarge(frame: np.ndarray) -> np.ndarray:
    """Repeat pixels until the shorter side has at least 180 of them, and make both sides even for the encoder."""
    factor = -(-_MIN_SIDE // min(frame.shape[:2])) if min(frame.shape[:2]) < _MIN_SIDE else 1
    if factor > 1:
        frame = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    return np.ascontiguousarray(frame[:height, :width])
