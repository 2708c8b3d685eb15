"""Where the maps are: in the vizdoom package, in a directory of the user, or fetched once into the user's cache.

    python -m sf_plugins_vizdoom.scenarios          what is there, and where
    python -m sf_plugins_vizdoom.scenarios fetch    get the maps that the vizdoom package does not ship

The standard library alone is used, and little of it: every `sf-list` imports this.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FETCH_COMMAND = "python -m sf_plugins_vizdoom.scenarios fetch"
VARIABLE = "SF_DOOM_SCENARIOS"

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


def main(arguments: list[str]) -> int:
    """What the command line does; returns the exit code."""
    if arguments == ["fetch"]:
        from sf_plugins_vizdoom.fetching import LICENCE_NOTE, FetchError, fetch  # not for every sf-list to import

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
