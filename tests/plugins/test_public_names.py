"""`from sf_core import ...`: everything promised is there, nothing heavy comes along, no name hides a module."""

import ast
import inspect
import pkgutil
from pathlib import Path

import pytest

import sf_core
from sf_core import _entry
from sf_core.plugins import hookspecs

ROOT = Path(sf_core.__file__).parent


@pytest.mark.parametrize("name", sorted(set(sf_core.__all__) - {"__version__"}))
def test_every_public_name_can_be_imported(name):
    if name == "Policy":
        pytest.importorskip("torch")
    assert getattr(sf_core, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = sf_core.trian
    assert "EnvSpec" in dir(sf_core)


def test_no_public_name_is_the_name_of_a_submodule():
    # `from sf_core import train` would give the function or the module, depending on what was imported before
    assert not {module.name for module in pkgutil.iter_modules([str(ROOT)])} & set(sf_core.__all__)


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert imported == sf_core._HOME_OF


def test_the_version_is_a_plain_literal():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    values = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__version__"]
    assert [value.value for value in values] == [sf_core.__version__]


@pytest.mark.parametrize("path", ["_entry.py", "__main__.py"])
def test_what_children_import_again_has_no_import_at_its_top(path):
    tree = ast.parse((ROOT / path).read_text())
    assert not [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]


def test_every_console_script_has_its_thunk():
    for verb in ("train", "enjoy", "eval", "list"):
        assert callable(getattr(_entry, f"sf_{verb}"))


def test_hooks_say_when_and_where_they_are_called_and_show_an_example():
    names = [name for name, value in vars(hookspecs).items() if hasattr(value, "sf_core_spec")]
    assert len(names) == 11
    for name in names:
        text = inspect.getdoc(getattr(hookspecs, name))
        assert name.startswith("sf_")
        for part in ("Called:", "Process:", "May import:", "**Example**::", f"def {name}("):
            assert part in text, (name, part)


def test_the_examples_of_the_hooks_work(plugin, manager_of):
    for name, value in vars(hookspecs).items():
        if not hasattr(value, "sf_core_spec"):
            continue
        example = inspect.cleandoc(inspect.getdoc(value).partition("**Example**::")[2].lstrip("\n"))
        namespace = {}
        exec(inspect.cleandoc("\n" + example), namespace)
        arguments = {"cfg": type("Cfg", (), {"maze_size": 3})(), "plan": None}
        wanted = inspect.signature(namespace[name]).parameters
        result = namespace[name](**{key: arguments[key] for key in wanted})
        if name not in ("sf_configure", "sf_report_header"):
            assert len(list(result)) >= 1
