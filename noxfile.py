"""`nox` runs lint, types, tests and plugins: what every change must pass. `nox -l` lists the rest."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PLUGINS = ("sf_plugins_atari", "sf_plugins_vizdoom")
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))
TEST_TOOLS = ("pytest", "pytest-timeout", "hypothesis", "build", "hatchling")
# A directory of the checkout must never stand in for an installed package.
ISOLATED = {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "2"}

nox.options.sessions = ["lint", "types", "tests", "plugins"]
nox.options.error_on_missing_interpreters = False  # `light` runs on those that are there
# uv does not look where pip's configuration points, and the tested torch may lie there.
nox.options.default_venv_backend = "virtualenv"


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and generated tables of the docs that must be current."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on sf_core and the plugins, beside the emulators whose types they use."""
    session.install(*CONSTRAINTS, ".", *(f"./{plugin}" for plugin in PLUGINS), "mypy", "pytest")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The core's own tests, against its wheel and no plugin."""
    session.install(*CONSTRAINTS, ".[plot]", *TEST_TOOLS)
    session.run("pytest", "-m", "not slow and not wheels", *session.posargs, env=ISOLATED)


@nox.session
def plugins(session: nox.Session) -> None:
    """Each plugin from its wheel, the example package, the contents of the wheels, the core with all plugins."""
    session.install(*CONSTRAINTS, "build", "hatchling")
    with tempfile.TemporaryDirectory() as folder:
        for project in (".", *PLUGINS):
            session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, project, silent=True)
        wheels = sorted(str(path) for path in Path(folder).glob("*.whl"))
        # opencv is the oracle of the plugins' image tests; neither plugin needs it
        session.install(*CONSTRAINTS, *wheels, *TEST_TOOLS, "opencv-python-headless")
    session.run("sf-list", "--check", env=ISOLATED)
    for project in PLUGINS:
        session.run("pytest", f"{project}/tests", "-m", "not slow", *session.posargs, env=ISOLATED)
    session.run("pytest", "-m", "wheels", *session.posargs, env=ISOLATED)


@nox.session
def envpool(session: nox.Session) -> None:
    """The Atari back ends beside each other. EnvPool is 700 MB and not on every Python, hence no default session."""
    session.install(*CONSTRAINTS, ".", "./sf_plugins_atari[envpool]", *TEST_TOOLS, "opencv-python-headless")
    session.run("pytest", "sf_plugins_atari/tests", *session.posargs, env=ISOLATED)


@nox.session
def learn(session: nox.Session) -> None:
    """Does it still learn? Every task with three seeds, beside stable-baselines3; `-- full`: longer, five seeds."""
    session.install(*CONSTRAINTS, ".", "gymnasium[box2d,mujoco]", "sb3-contrib", "matplotlib")
    session.run("python", "benchmarks/learning", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Tests that train for minutes: every mode of the engine solves CartPole, and the like."""
    session.install(*CONSTRAINTS, ".", *TEST_TOOLS)
    session.run("pytest", "-m", "slow", "-s", *session.posargs, env={"PYTHONSAFEPATH": "1"})


@nox.session
def soak(session: nox.Session) -> None:
    """Half an hour of training while things break, and 50 starts and stops: does anything grow or stay behind?"""
    session.install(*CONSTRAINTS, ".")
    session.run("python", "benchmarks/soak.py", *session.posargs, env={"PYTHONSAFEPATH": "1"})


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def light(session: nox.Session) -> None:
    """What needs no torch, on every Python: plugins, command line, sf-list."""
    session.install(*CONSTRAINTS, "pytest", "pytest-timeout", "numpy", "gymnasium", "pluggy", "importlib-metadata")
    session.env["PYTHONPATH"] = str(ROOT)
    session.run(
        "pytest", "tests/plugins", "tests/cfg", "tests/utils", "-m", "not slow and not wheels", *session.posargs
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Speed, beside the parts limit and beside peers (`-- quick`, `-- full --only=cartpole`)."""
    session.install(*CONSTRAINTS, ".", *(f"./{plugin}" for plugin in PLUGINS), "opencv-python-headless")
    session.run("python", "benchmarks", *(session.posargs or ["full"]))


@nox.session
def bench_peers(session: nox.Session) -> None:
    """The environments of the peers that `bench` measures beside ours: once, minutes."""
    session.install(*CONSTRAINTS, ".")
    session.run("python", "benchmarks", "peers", *session.posargs)


if sys.version_info < (3, 11):  # noqa: UP036  nox itself may run on an older Python than the project
    raise SystemExit("sf-core needs Python 3.11 or newer")
