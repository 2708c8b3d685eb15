"""Environments that need no registration: any Gymnasium id, and any function that makes an env.

In: a name as typed after `--env=`. Out: an env, or a sentence that says what is wrong with the name or missing on this
machine. Not known here: plugins.
"""

from __future__ import annotations

import difflib
import sys
from typing import Any

import gymnasium as gym
from gymnasium import error as gym_error

from sf_core.plugins.plan import accepts, resolve_ref
from sf_core.utils.errors import UsageError

GYM_PREFIX = "gym:"
PY_PREFIX = "py:"


def make_gymnasium_env(
    full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None, **params: Any
) -> gym.Env[Any, Any]:
    """`gymnasium.make` of an id, which may name the module that registers it (`my_pkg:Maze-v0`).

    Raises:
        UsageError: there is no such id, or a package that it needs is not installed.
    """
    env_id = full_env_name.removeprefix(GYM_PREFIX)
    if render_mode is not None:  # many an env does not take the argument at all
        params["render_mode"] = render_mode
    try:
        # the checker would look at every first call again, and stay around every later one
        return gym.make(env_id, disable_env_checker=True, **params)
    except gym_error.Error as error:
        raise UsageError(_sentence(full_env_name, env_id, error)) from error
    except ImportError as error:
        raise UsageError(_missing_module(full_env_name, env_id, error)) from error


def make_from_function(
    full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None, **params: Any
) -> Any:
    """What the function of `py:module:function` makes; it is called like any env factory.

    Raises:
        UsageError: the module or the function does not exist.
    """
    ref = full_env_name.removeprefix(PY_PREFIX)
    if not ref.rpartition(":")[0]:
        raise UsageError(f"env {full_env_name!r} names no function; write --env=py:module:function")
    try:
        factory = resolve_ref(ref)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"env {full_env_name!r}: no module named {error.name!r} can be imported; install it, or put its directory "
            "on PYTHONPATH"
        ) from error
    except ImportError as error:
        raise UsageError(f"env {full_env_name!r}: {error}; name a function of that module") from error
    if not callable(factory):
        raise UsageError(f"env {full_env_name!r}: {ref} is a {type(factory).__name__}; name a function or a class")
    if accepts(factory, "render_mode"):
        params["render_mode"] = render_mode
    return factory(full_env_name, cfg, env_config, **params)


def _sentence(name: str, env_id: str, error: gym_error.Error) -> str:
    if isinstance(error, gym_error.NamespaceNotFound):
        namespace = env_id.rpartition(":")[2].partition("/")[0]
        module = {"ALE": "ale_py"}.get(namespace, "its_package")
        return (
            f"unknown env {name!r}: namespace {namespace} is not registered; name its package "
            f"(--env={module}:{env_id.rpartition(':')[2]}) or install a plugin that offers it"
        )
    if isinstance(error, gym_error.UnregisteredEnv):
        module, _, name_in_it = env_id.rpartition(":")
        if callable(getattr(sys.modules.get(module), name_in_it, None)):
            ref = f"{module}:{name_in_it}"
            return f"unknown env {name!r}: {name_in_it} is no id but a function; write --env={PY_PREFIX}{ref}"
        close = difflib.get_close_matches(env_id.rpartition(":")[2], list(gym.registry), n=3)
        hint = f"close ones are {', '.join(close)}" if close else "gymnasium.pprint_registry() shows what there is"
        what = _one_line(error) if isinstance(error, gym_error.VersionNotFound) else "Gymnasium knows no such id"
        return f"unknown env {name!r}: {what}; {hint}"
    if isinstance(error, gym_error.DependencyNotInstalled):
        return f"env {name!r} needs a package that is not installed: {_one_line(error)}{_pip_hint(error)}"
    return f"env {name!r} cannot be made: {_one_line(error)}"


def _missing_module(name: str, env_id: str, error: ImportError) -> str:
    module, _, bare_id = env_id.rpartition(":")
    # Gymnasium raises it anew, without a name, for the module in front of the colon
    missing = error.name or (module if "Environment registration" in str(error) else None)
    if module and missing is not None and module.split(".")[0] == missing.split(".")[0]:
        return (
            f"env {name!r}: no module named {module!r} can be imported to register {bare_id}; "
            "pip install the package it is in, or correct the name"
        )
    if isinstance(error, ModuleNotFoundError) and missing is not None:
        return f"env {name!r} needs {missing!r}, which is not installed; pip install the package it is in"
    return f"env {name!r} cannot be made: {_one_line(error)}{_pip_hint(error)}"


def _pip_hint(error: BaseException) -> str:
    return "" if "pip install" in str(error) else " (pip install what the env's documentation names)"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
