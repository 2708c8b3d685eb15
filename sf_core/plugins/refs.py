"""References to code: strings in, objects out.

A ref is `"module:qualname"`, `"file:/abs/my_env.py:qualname"` or `"__main__:qualname"`. Scripts may also register a
callable that no string can name (a `functools.partial`, an instance); then the object itself travels in the plan.
Standard library only: env workers import this.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

Ref = str | Callable[..., Any]

FILE_MODULE_PREFIX = "sf_script_"

_REF = re.compile(r"(?:file:.+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def check_ref(ref: object, what: str) -> None:
    """Refuse a ref of the wrong shape (`ValueError`); nothing is imported."""
    if callable(ref):
        return
    if not isinstance(ref, str) or not _REF.fullmatch(ref):
        raise ValueError(f'{what}={ref!r} is not a reference of the form "package.module:name"')


def resolve_ref(ref: Ref) -> Any:
    """The object `ref` names; imports its module.

    Raises:
        ImportError: the module is absent or has no such name.
        Exception: whatever importing the module raises.
    """
    if not isinstance(ref, str):
        return ref
    module_name, _, qualname = ref.rpartition(":")
    if module_name.startswith("file:"):
        module = load_file(module_name[len("file:") :])
    else:
        module = importlib.import_module(module_name)
    try:
        return functools.reduce(getattr, qualname.split("."), module)
    except AttributeError:
        raise ImportError(f"{module_name} has no {qualname!r} (asked for as {ref!r})") from None


def ref_of(target: Callable[..., Any]) -> Ref:
    """The string that names `target`, or `target` itself if no string can: partials, instances, lambdas, closures.

    A decorated function is not bound in its module yet, so the name is trusted rather than looked up.
    """
    module_name, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not module_name or not qualname or "<" in qualname:
        return target
    module = sys.modules.get(module_name)
    if module is not None and module_name.startswith(FILE_MODULE_PREFIX):
        return f"file:{module.__file__}:{qualname}"
    return f"{'__main__' if module_name == '__mp_main__' else module_name}:{qualname}"


def describe_ref(ref: Ref) -> str:
    """`ref` for people and for JSON."""
    return ref if isinstance(ref, str) else repr(ref)


def file_module_name(path: str) -> str:
    """The module name under which every process executes the file at `path`; the same in all of them."""
    path = os.path.realpath(path)
    stem = re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])
    return f"{FILE_MODULE_PREFIX}{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def load_file(path: str) -> ModuleType:
    """Execute the Python file at `path` once in this process and return its module.

    The script the user started is not executed a second time under another name.
    """
    path = os.path.realpath(path)
    main = sys.modules.get("__main__")
    main_path = getattr(main, "__file__", None)
    if main is not None and main_path and os.path.realpath(main_path) == path:
        return main
    name = file_module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before executing it: dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
