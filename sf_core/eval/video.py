"""Frames to a video file without a display: MP4 or GIF, streamed through the bundled ffmpeg.

In: RGB frames [H, W, 3] uint8, one by one; nothing but the encoder's own buffer stays in memory. Out: a file. Where no
ffmpeg can be run, a GIF is put together in this process. Knows nothing of environments.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

_MIN_SIDE = 180
"""Small frames are enlarged to at least this many pixels, so that players show something."""

_MOST_GIF_FPS = 50.0
"""Players show shorter delays than 20 ms as long ones."""


class _Encoder(Protocol):
    path: Path

    def write(self, frame: np.ndarray) -> None: ...

    def close(self) -> None: ...


class VideoWriter:
    """Streams frames into `path`, whose ending is the format; a GIF of the same name where ffmpeg cannot be run."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._encoder: _Encoder | None = None
        self._shape: tuple[int, ...] | None = None
        self.num_frames = 0

    @property
    def path(self) -> Path:
        """The file really written (`.mp4`, or `.gif` after the fallback)."""
        return self._encoder.path if self._encoder else self._path

    def write(self, frame: np.ndarray) -> None:
        """Add one RGB frame, shape [H, W, 3], uint8.

        Raises:
            UsageError: the file cannot be written, or this is no frame of the same video.
        """
        if frame.ndim != 3 or frame.shape[2] != 3:
            raise UsageError(f"a picture has the shape {frame.shape}; render() must return [height, width, 3]")
        if self._shape not in (None, frame.shape):
            raise UsageError(f"a picture has the shape {frame.shape} and the first one {self._shape}; a video has one")
        self._shape = frame.shape
        frame = enlarge(np.ascontiguousarray(frame, dtype=np.uint8))
        if self._encoder is None:
            self._encoder = self._open(frame)
        self._encoder.write(frame)
        self.num_frames += 1

    def _open(self, frame: np.ndarray) -> _Encoder:
        try:
            return _Ffmpeg(self._path, self._fps, frame.shape[1], frame.shape[0])
        except (ImportError, OSError, RuntimeError) as error:
            path = self._path
            if path.suffix != ".gif":
                path = unused_path(path.with_suffix(".gif"))
                log.warning("%s cannot be encoded (%s); writing a GIF instead", self._path.name, error)
            return _GifInMemory(path, self._fps)

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


class _Ffmpeg:
    def __init__(self, path: Path, fps: float, width: int, height: int) -> None:
        import imageio_ffmpeg

        self.path = path
        imageio_ffmpeg.get_ffmpeg_exe()  # raises here, before the first frame, where there is no encoder
        self._stream: Generator[None, np.ndarray, None] = imageio_ffmpeg.write_frames(
            str(path), (width, height), pix_fmt_in="rgb24", **_encoding(path, fps)
        )
        next(self._stream)  # starts the generator

    def write(self, frame: np.ndarray) -> None:
        try:
            self._stream.send(frame)
        except OSError as error:  # ffmpeg has ended: a full disk, a folder that it may not write to
            raise UsageError(f"{self.path} cannot be written; ffmpeg says why above.") from error

    def close(self) -> None:
        self._stream.close()


def _encoding(path: Path, fps: float) -> dict[str, Any]:
    if path.suffix == ".gif":
        # colours of its own for each frame: those of the whole film would be known only at its end
        palettes = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
        return {
            "fps": min(fps, _MOST_GIF_FPS),
            "codec": "gif",
            "pix_fmt_out": "pal8",
            "macro_block_size": 1,
            "ffmpeg_log_level": "error",  # it remarks on every palette
            "output_params": ["-filter_complex", palettes, "-loop", "0"],
        }
    return {"fps": fps, "codec": "libx264", "macro_block_size": 2, "quality": 7}


class _GifInMemory:
    _MAX_FRAMES = 3000

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self._frame_ms = round(1000 / min(fps, _MOST_GIF_FPS))
        self._frames: list[Any] = []
        self._left_out = 0

    def write(self, frame: np.ndarray) -> None:
        from PIL import Image

        if len(self._frames) < self._MAX_FRAMES:
            self._frames.append(Image.fromarray(frame).quantize())  # a byte for each pixel
        else:
            self._left_out += 1

    def close(self) -> None:
        if self._left_out:
            log.warning("%s has the first %d frames; without ffmpeg no more fit", self.path, self._MAX_FRAMES)
        if self._frames:
            first, *others = self._frames
            first.save(self.path, save_all=True, append_images=others, duration=self._frame_ms, loop=0)


def unused_path(path: Path) -> Path:
    """`path`, or `name_2.mp4`, `name_3.mp4`, ... where it is there already."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return candidate


def enlarge(frame: np.ndarray) -> np.ndarray:
    """Repeat pixels until the shorter side has at least 180 of them, and make both sides even for the encoder."""
    factor = -(-_MIN_SIDE // min(frame.shape[:2])) if min(frame.shape[:2]) < _MIN_SIDE else 1
    if factor > 1:
        frame = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    return np.ascontiguousarray(frame[:height, :width])
