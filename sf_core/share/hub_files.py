"""Which files of a run travel over the hub: data that this program reads without executing anything, of bounded size.

In: the folder of a run, or names that stand in somebody's repository. Out: those that are taken. What is inside the
files is for others to check.

Never among them: code, pickles, optimizer states, logs, TensorBoard events, and `plan.json`, which names the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sf_core.model.checkpoint_files import JSON_FILE, MODEL_FILE, find_checkpoints

CARD = "README.md"
CONFIG = "config.json"
RESULT = "result.json"
VIDEO = "replay.mp4"

_MB = 1_000_000
_CHECKPOINT = r"checkpoint_p[0-9]{1,3}/(?:checkpoint|best)_[0-9]{1,19}_[0-9]{1,19}(?:_[A-Za-z0-9._-]{1,100})?"
_LARGEST = {
    re.escape(CARD): _MB,
    re.escape(CONFIG): 4 * _MB,
    re.escape(RESULT): _MB,
    re.escape(VIDEO): 200 * _MB,
    f"{_CHECKPOINT}/{re.escape(JSON_FILE)}": 64 * _MB,
    f"{_CHECKPOINT}/{re.escape(MODEL_FILE)}": 4000 * _MB,
}
_MOST_FILES = 64


@dataclass(frozen=True)
class HubFile:
    """A file by its path in the repository, `/` between folders, and its size in bytes.

    Attributes:
        source: its path in the folder of the run, where that is another one.
    """

    path: str
    size: int
    source: str = ""


class RefusedFilesError(ValueError):
    """What is offered is no run, or too large; one sentence."""


def largest_size(path: str) -> int | None:
    """The most bytes that a file of this path may have; None where no such file is taken."""
    return next((size for pattern, size in _LARGEST.items() if re.fullmatch(pattern, path)), None)


def taken(offered: Iterable[HubFile]) -> tuple[list[HubFile], list[str]]:
    """What of a repository is taken, and the names of what is left there.

    Raises:
        RefusedFilesError: a file is too large, there are too many, or they make no run.
    """
    files, left = [], []
    for file in offered:
        largest = largest_size(file.path)
        if largest is None:
            left.append(file.path)
        elif not 0 <= file.size <= largest:
            raise RefusedFilesError(f"{file.path} has {file.size:,} bytes; at most {largest:,} are taken")
        else:
            files.append(file)
    if len(files) > _MOST_FILES:
        raise RefusedFilesError(f"it has {len(files)} files of a run; at most {_MOST_FILES} are taken")
    names = {file.path for file in files}
    models = [name for name in names if name.endswith(f"/{MODEL_FILE}")]
    if CONFIG not in names or not any(name.replace(MODEL_FILE, JSON_FILE) in names for name in models):
        raise RefusedFilesError(f"it is no run of sf-core: it has no {CONFIG}, or no checkpoint")
    return files, left


def files_of_run(run: Path) -> list[HubFile]:
    """What of a run is sent: its configuration, result and last video, the newest checkpoint and the best one.

    Raises:
        RefusedFilesError: see `taken`.
    """
    names = [name for name in (CONFIG, RESULT) if (run / name).is_file()]
    for directory in sorted(run.glob("checkpoint_p[0-9]*")):
        for kind in ("latest", "best"):
            for checkpoint in find_checkpoints(directory, kind)[:1]:
                names += [f"{directory.name}/{checkpoint.name}/{name}" for name in (JSON_FILE, MODEL_FILE)]
    files = [HubFile(name, (run / name).stat().st_size) for name in names if (run / name).is_file()]
    if video := _newest_video(run):
        files.append(HubFile(VIDEO, video.stat().st_size, video.name))
    return taken(files)[0]


def _newest_video(run: Path) -> Path | None:
    """What `sf-enjoy` recorded last: it keeps `replay.mp4` and goes on with `replay_2.mp4`."""
    videos = [path for path in run.glob("replay*.mp4") if re.fullmatch(r"replay(_\d+)?\.mp4", path.name)]
    return max(videos, key=lambda path: path.stat().st_mtime_ns, default=None)
