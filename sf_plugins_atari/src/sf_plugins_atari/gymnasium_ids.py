"""Gymnasium's ids of the emulator, `ALE/Pong-v5` and its like, exactly as Gymnasium builds them.

What comes in: an id. What leaves: that environment. Importing `ale_py` is what makes the ids known, so it happens
here, in the process that needs them. No frame stack, no resizing and sticky actions of 0.25: for the usual
preprocessing take the `atari_*` environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ale_py  # noqa: F401  # registers the ids
import gymnasium

from sf_core.envs.gymnasium_envs import make_gymnasium_env


def make_ale_env(
    full_env_name: str, cfg: Mapping[str, Any], env_config: Mapping[str, Any], render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Build the environment of a Gymnasium id such as `ALE/Pong-v5`, with `--env_frameskip` frames per action.

    Raises:
        UsageError: there is no such id; the message names close ones.
    """
    return make_gymnasium_env(full_env_name, cfg, env_config, render_mode, frameskip=cfg["env_frameskip"])
