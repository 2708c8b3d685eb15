"""PettingZoo environments by name: `--env=pettingzoo:butterfly/pistonball-v6`.

In: a name as typed. Out: the parallel env of that name, or the one in which agents take turns if there is no other.
PettingZoo is imported here only, and only by a run that asks for it. Not known here: how such an env is stepped
(`adapters/pettingzoo.py`).
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sf_core.utils.errors import UsageError

PETTINGZOO_PREFIX = "pettingzoo:"


def make_pettingzoo_env(
    full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None, **params: Any
) -> Any:
    """An env of PettingZoo's registry (`classic/chess-v6`), or of a module with `parallel_env()` or `env()`.

    Args:
        full_env_name: an id or a module, after an optional `pettingzoo:`. An id may be spelled as the module it once
            was, `classic.chess_v6`.
        cfg: not looked at.
        env_config: not looked at.
        render_mode: handed on.
        params: of the constructor; a plugin gives them in `EnvSpec.params`.

    Raises:
        UsageError: nothing has this name, it needs a package that is not installed, or it makes no env.
    """
    name = full_env_name.removeprefix(PETTINGZOO_PREFIX)
    params["render_mode"] = render_mode
    try:
        kind, env_id = _registered(name)
        if kind:
            return import_module("pettingzoo").make(kind, env_id, **params)
        module = _module(name)
    except ImportError as error:
        raise UsageError(
            f"env {full_env_name!r} needs a package that is not installed: {' '.join(str(error).split())}"
        ) from error
    if module is None:
        raise UsageError(
            f"unknown env {full_env_name!r}: it is neither in PettingZoo's registry nor a module with parallel_env() "
            "or env(); write it as in pettingzoo:butterfly/pistonball-v6"
        )
    make = getattr(module, "parallel_env", None) or getattr(module, "env", None)
    if not callable(make):
        raise UsageError(f"env {full_env_name!r}: module {module.__name__} has neither parallel_env() nor env()")
    return make(**params)


def _registered(name: str) -> tuple[str, str]:
    """`parallel` or `aec` and the id in the registry that PettingZoo has since 1.27; two empty strings if none."""
    if find_spec("pettingzoo") is None:
        return "", ""
    pettingzoo = import_module("pettingzoo")
    env_id = re.sub(r"_v(\d+)$", r"-v\1", name.replace(".", "/"))
    for kind in ("parallel", "aec"):
        if env_id in getattr(pettingzoo, f"{kind}_registry", ()):
            return kind, env_id
    return "", ""


def _module(name: str) -> Any:
    """The module `pettingzoo.<name>` or `<name>`, `/` standing for `.`; None if there is neither."""
    path = name.replace("/", ".")
    for full_path in (f"pettingzoo.{path}", path):
        try:
            found = find_spec(full_path)
        except (ModuleNotFoundError, ValueError):  # of a package on the way
            continue
        if found is not None:
            return import_module(full_path)
    return None
