"""The results file: JSON that grows with every measurement, so that nothing is lost when one breaks off.

In: a section and its content. Out: the file, replaced as a whole each time. Sections that are not measured again stay.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from sf_bench.contenders import cores

SCHEMA = 1
_PACKAGES = ("sf-core", "torch", "numpy", "gymnasium", "ale-py", "vizdoom")


class Results:
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = load(path) if path.exists() else {"schema": SCHEMA, "sections": {}}

    def put(self, section: str, content: dict[str, Any]) -> None:
        """Replace one section and write the file."""
        self.content["machine"] = machine()
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        self.content["sections"][section] = {"measured": stamp, **content}
        new = self.path.with_name(f".{self.path.name}.new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(self.content, indent=1) + "\n", "utf-8")
        os.replace(new, self.path)


def load(path: Path) -> dict[str, Any]:
    """The content of a results file.

    Raises:
        ValueError: the file is of another kind.
    """
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if content.get("schema") != SCHEMA or "sections" not in content:
        raise ValueError(f"{path} is no results file of these benchmarks")
    return content


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"cpu": _cpu(), "cores": cores(), "python": platform.python_version(), "versions": versions}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
