"""An environment of its own for every peer, all with the same torch as ours.

In: a folder. Out: `FOLDER/NAME/bin/python` for each name below. What is there already is only completed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

REQUIREMENTS = {
    "sb3": ("stable-baselines3>=2.9", "ale-py>=0.12.1", "gymnasium>=1.4", "opencv-python-headless"),
    "sf": (
        "sample-factory==2.1.1",
        "gymnasium[atari,classic-control]<1.0",  # it knows no newer one
        "numpy<2",
        "opencv-python-headless",
        "vizdoom",
    ),
    "cleanrl": (
        "gymnasium[atari]<1.0",
        "stable-baselines3>=2.0,<2.4",  # its wrappers, for the same Gymnasium
        "numpy<2",
        "opencv-python-headless",
        "tensorboard",
        "setuptools<81",  # tensorboard and the script ask for what later ones no longer have
    ),
}
UNCHECKED = {"cleanrl": ("cleanrl==1.2.0",)}  # requires an older Python; one script of it is run, and needs the above
_ROMS = "import ale_py, pathlib; print(pathlib.Path(ale_py.__file__).parent / 'roms')"


def make_all(folder: Path, torch: str | None = None) -> None:
    """Make or complete all environments.

    Args:
        folder: where.
        torch: its version; None for the one of this environment.

    Raises:
        subprocess.CalledProcessError: pip failed.
    """
    version = torch or metadata.version("torch").partition("+")[0]
    for name, packages in REQUIREMENTS.items():
        python = folder / name / "bin" / "python"
        print(f"{folder / name}: torch {version}, {', '.join(packages)}", flush=True)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"torch=={version}"], check=True)
        subprocess.run([*pip, *packages], check=True)
        if name in UNCHECKED:
            subprocess.run([*pip, "--no-deps", "--ignore-requires-python", *UNCHECKED[name]], check=True)
    for name in ("sf", "cleanrl"):
        _copy_roms(folder / "sb3" / "bin" / "python", folder / name / "bin" / "python")


def _copy_roms(source: Path, target: Path) -> None:
    """The emulator for older Gymnasiums came without ROMs; they are those of the newer one."""
    roms, place = (Path(_last_line(python)) for python in (source, target))
    place.mkdir(parents=True, exist_ok=True)
    for rom in roms.glob("*.bin"):
        shutil.copy(rom, place)


def _last_line(python: Path) -> str:
    done = subprocess.run([str(python), "-c", _ROMS], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]
