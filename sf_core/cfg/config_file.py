"""`--config=run.toml`: a file in, option values by name out; whether the names exist is for others to say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sf_core.utils.errors import UsageError


def read_config_file(path: str) -> dict[str, Any]:
    """The options in a TOML file: `gamma = 0.99` at top level, or under a heading, whose words are for the reader.

    Raises:
        UsageError: no such file, not TOML, a name given twice, headings inside headings.
    """
    try:
        data = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--config={path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config={path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--config={path} is not valid TOML: {error}.") from error
    values: dict[str, Any] = {}
    for heading, content in data.items():
        entries = content.items() if isinstance(content, dict) else [(heading, content)]
        for key, value in entries:
            name = key.removeprefix("--").replace("-", "_")
            if isinstance(value, dict):
                raise UsageError(f"{path}: [{heading}.{key}] is a heading inside a heading; options have one at most.")
            if name in values:
                raise UsageError(f"{path} gives {name} twice; keep one of them.")
            values[name] = value
    return values
