"""Each room imports only from the rooms to its left; sampler and learner never see each other."""

import ast
from pathlib import Path

import pytest

import sf_core

ROOT = Path(sf_core.__file__).parent

# Rooms in one set stand side by side and do not import each other.
LAYERS = (
    {"utils"},
    {"plugins"},
    {"cfg"},
    {"envs"},
    {"model"},
    {"rollout"},
    {"sampler", "learner"},
    {"population"},
    {"runner"},
    {"eval"},
    {"share"},
    {"train", "enjoy"},
    {"cli"},
    {"testing"},
)
POSITION = {room: position for position, rooms in enumerate(LAYERS) for room in rooms}

# Lazy tables and thunks name everything and import on request; `algo` re-exports old paths.
EXEMPT = {"__init__.py", "_entry.py", "__main__.py"}


def room_of(path):
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        if relative.parts[0] != "algo" and str(relative) not in EXEMPT:
            yield path


def imported_rooms(source, package):
    """(line, room) of everything that the source imports from sf_core, in functions too; types for checkers count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "sf_core" else [base]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "sf_core" and len(parts) > 1:
                yield node.lineno, parts[1]


def violations(source, room, package):
    for line, other in imported_rooms(source, package):
        if other == room or other not in POSITION:
            continue  # `from sf_core import __version__` is no room
        if POSITION[other] >= POSITION[room]:
            yield f"line {line}: {room} imports {other}"


def test_every_file_belongs_to_a_room_of_the_map():
    unknown = {room_of(path) for path in modules()} - set(POSITION)
    assert not unknown, f"not on the map of architecture: {unknown}"


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_imports_from_its_right(path):
    package = ".".join(["sf_core", *path.relative_to(ROOT).parts[:-1]])
    assert not list(violations(path.read_text(), room_of(path), package))


def test_lazy_tables_do_not_reach_to_the_right_either():
    # `from sf_core import run_rl` inside a room would get around the rule above
    for path in modules():
        public = [
            (node.lineno, alias.name)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "sf_core" and not node.level
            for alias in node.names
            if alias.name in sf_core._HOME_OF
        ]
        for line, name in public:
            home = sf_core._HOME_OF[name].split(".")[1]
            assert home in POSITION or path.parent.name == "cli", f"{path}:{line}: {name}"
            assert POSITION.get(home, 0) <= POSITION[room_of(path)], f"{path}:{line}: {name}"


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("utils", "from sf_core.plugins.specs import EnvSpec", ["line 1: utils imports plugins"]),
        ("plugins", "def f():\n    import sf_core.cfg.options", ["line 2: plugins imports cfg"]),
        ("sampler", "from sf_core.learner import update", ["line 1: sampler imports learner"]),
        ("learner", "from sf_core import sampler", ["line 1: learner imports sampler"]),
        ("envs", "from ..model.policy import Policy", ["line 1: envs imports model"]),
        ("envs", "from . import spaces\nfrom sf_core.utils.log import log\nimport torch", []),
        ("train", "from sf_core.enjoy import enjoy", ["line 1: train imports enjoy"]),
        ("cli", "from sf_core.train import run_rl", []),
    ],
)
def test_the_rule_itself_sees_what_it_should(room, source, wrong):
    assert list(violations(source, room, f"sf_core.{room}")) == wrong
