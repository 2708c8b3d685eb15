import functools
import sys

import pytest

from sf_core.plugins.refs import file_module_name, load_file, ref_of, resolve_ref


class Outer:
    def method(self):
        return 1


def test_a_reference_resolves_to_what_it_names():
    assert resolve_ref("os.path:join") is __import__("os").path.join
    assert resolve_ref("collections:OrderedDict.fromkeys") == __import__("collections").OrderedDict.fromkeys


def test_a_missing_name_is_an_import_error_that_says_which():
    with pytest.raises(ImportError, match=r"os\.path has no 'jion'"):
        resolve_ref("os.path:jion")


def test_top_level_things_are_named_and_others_travel_themselves():
    assert ref_of(functools.reduce) == "_functools:reduce"
    assert ref_of(Outer) == f"{__name__}:Outer"
    assert ref_of(Outer.method) == f"{__name__}:Outer.method"
    closure = lambda: 1  # noqa: E731
    partial = functools.partial(max, 1)
    assert ref_of(closure) is closure
    assert ref_of(partial) is partial
    assert resolve_ref(partial) is partial


def test_a_file_is_executed_once_and_is_known_to_sys_modules_while_it_is(tmp_path):
    path = tmp_path / "my-env.py"
    path.write_text(
        "import dataclasses, sys\n"
        "assert __name__ in sys.modules\n"
        "@dataclasses.dataclass\n"
        "class Maze:\n"
        "    size: 'int' = 3\n"
        "def make(): return Maze()\n"
    )
    module = load_file(str(path))
    try:
        assert module.__name__ == file_module_name(str(path))
        assert module.__name__.startswith("sf_script_my_env_")
        assert ref_of(module.make) == f"file:{path}:make"
        assert resolve_ref(ref_of(module.make)) is module.make
        assert load_file(str(path)) is module
    finally:
        del sys.modules[module.__name__]


def test_a_file_that_fails_leaves_nothing_behind(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load_file(str(path))
    assert file_module_name(str(path)) not in sys.modules
