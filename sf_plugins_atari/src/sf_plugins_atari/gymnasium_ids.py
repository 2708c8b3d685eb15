"""Gymnasium's ids of the emulator, `ALE/Pong-v5` and its like, exactly as Gymnasium builds them.

What comes in: an id. What leaves: that environment. Importing `ale_py` is what makes the ids known, so it happens
here, in the process that needs them. No frame stack, no resizing and sticky actions of 0.25: for the usual
preprocessing take the `atari_*` environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ale_py
import gymnasium


def make_ale_env(
    full_env_name: str, cfg: Mapping[str, Any], env_config: Mapping[str, Any], render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Build the environment of a Gymnasium id such as `ALE/Pong-v5`, with `--env_frameskip` frames per action.

    Raises:
        ValueError: there is no such id; the message names close ones.
    """
    gymnasium.register_envs(ale_py)
    try:
        return gymnasium.make(full_env_name, render_mode=render_mode, frameskip=cfg["env_frameskip"])
    except gymnasium.error.UnregisteredEnv as error:
        raise ValueError(f"{error} See https://ale.farama.org/environments for the ids.") from error
