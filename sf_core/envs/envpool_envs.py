"""EnvPool's environments by their id: `--env=envpool:Pong-v5`, where the package is installed.

In: a name as typed after `--env=`, how many envs, their seeds. Out: a pool, or a sentence. Not known here: how it is
stepped (`adapters/envpool.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sf_core.utils.cores import available_cores
from sf_core.utils.errors import UsageError

ENVPOOL_PREFIX = "envpool:"


def make_envpool(full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None, **params: Any) -> Any:
    """A pool of one env, which can be drawn."""
    return make_envpool_envs(full_env_name, cfg, (env_config,), render_mode, **params)


def make_envpool_envs(
    full_env_name: str, cfg: Any, env_configs: Sequence[Any], render_mode: str | None = None, **params: Any
) -> Any:
    """A pool with an env for each of `env_configs`, and as many threads as this process has cores.

    `params` are options of `envpool.make`, for plugins that offer one of these envs under a name of their own.

    Raises:
        UsageError: EnvPool has no env of this name, or refuses an option.
    """
    import envpool

    env_id, num_envs = full_env_name.removeprefix(ENVPOOL_PREFIX), len(env_configs)
    options = {
        "num_envs": num_envs,
        "num_threads": max(1, min(available_cores(), num_envs)),
        # batches of half the envs: the first half is written to its rows while the other is being stepped
        "batch_size": max(1, num_envs // 2 if num_envs % 2 == 0 else num_envs),
        "seed": [env_config.seed for env_config in env_configs],
    }
    if render_mode is not None:
        options["render_mode"] = render_mode
    if env_id not in envpool.list_all_envs():
        raise UsageError(f"EnvPool has no env {env_id!r}; envpool.list_all_envs() names those it has")
    try:
        return envpool.make_gymnasium(env_id, **{**options, **params})
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"env {full_env_name!r} cannot be made: {' '.join(str(error).split())}") from error
