"""Wheels of this repository, and a fresh environment with those of the core and of the example in it."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = "examples/my_env_plugin"
PROJECTS = {
    "sf_core": ".",
    "sf_plugins_atari": "sf_plugins_atari",
    "sf_plugins_vizdoom": "sf_plugins_vizdoom",
    "my_env_plugin": EXAMPLE,
}
OURS = ("sf_core", "sf_plugins_", "my_env_plugin")


@dataclass(frozen=True)
class FreshEnvironment:
    """A virtual environment that has what our packages need, and of ours only what is installed into it."""

    path: Path

    @property
    def scripts(self) -> Path:
        """Where the console scripts are."""
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def variables(self) -> dict[str, str]:
        """The process environment of a shell in which this one is active."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SF_", "PIP_"))
        }
        return {
            **inherited,
            "VIRTUAL_ENV": str(self.path),
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
            # what pip builds here, it builds with what is there
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's own way to say "no isolation"
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, *command: str | Path, cwd: Path | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command that must end with exit code `code`."""
        words = [str(word) for word in command]
        words[0] = str(self.scripts / words[0])
        done = subprocess.run(
            words, capture_output=True, text=True, cwd=cwd or self.path, env=self.variables, timeout=240, check=False
        )
        assert done.returncode == code, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Import package -> its wheel, all built anew."""
    built = {}
    for package, project in PROJECTS.items():
        folder = tmp_path_factory.mktemp(package)
        command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT / project)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        (built[package],) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> FreshEnvironment:
    """An environment with the core's wheel.

    Third-party packages (torch above all) are lent by the environment that runs the tests, one by one, so that nothing
    is downloaded and nothing of ours comes along.
    """
    path = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(path, with_pip=True, symlinks=os.name != "nt")
    environment = FreshEnvironment(path)
    lent = path / "lent"
    lent.mkdir()
    for folder in map(Path, site.getsitepackages()):
        for entry in folder.iterdir() if folder.is_dir() else ():
            target = lent / entry.name
            if not entry.name.startswith(OURS) and entry.suffix != ".pth" and not target.exists():
                target.symlink_to(entry)
    own_packages = environment.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout
    (Path(own_packages.strip()) / "lent.pth").write_text(f"{lent}\n")
    # Python 3.11 puts an old setuptools into new environments, in front of the one that torch asks for
    environment.run("python", "-m", "pip", "uninstall", "--yes", "setuptools")
    environment.run("python", "-m", "pip", "install", "--no-index", wheels["sf_core"])
    return environment
