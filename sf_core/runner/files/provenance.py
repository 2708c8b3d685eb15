"""`plan.json`: what ran, on what, from which command; enough to say later how a result came about.

In: the plan, the configuration. Out: a JSON-able mapping. Nothing in it is ever executed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import importlib_metadata

from sf_core.cfg.config import Config
from sf_core.plugins.plan import RunPlan

_VERSIONS_OF = ("sf-core", "torch", "gymnasium", "numpy", "pluggy", "tensorboard", "safetensors")


def provenance(cfg: Config, plan: RunPlan, report_header: Iterable[str]) -> dict[str, Any]:
    """Components and plugins of the run, versions, host, git commit, seed and command line."""
    return {
        "schema": 1,
        **plan.to_json(),
        "command": [sys.executable, *sys.argv],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": cfg.seed,
        "seed_drawn": cfg.origin("seed") == "auto",
        "git": git_commit(),
        "host": {
            "name": platform.node(),
            "system": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        },
        "versions": {name: version for name in _VERSIONS_OF if (version := _version(name))},
        "report_header": list(report_header),
    }


def git_commit() -> dict[str, Any] | None:
    """Commit of the repository around the working directory and whether it has changes; None outside of one."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": changed}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return importlib_metadata.version(name)
    except importlib_metadata.PackageNotFoundError:
        return ""
