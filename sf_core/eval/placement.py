"""Where the environments of an evaluation live: in this process, or in rollout workers, and how many.

In: configuration, plan, number of episodes. Out: a `Placement`. What the user said wins; without a word, environments
that are fast, native vectors or cannot be sent to other processes stay here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from sf_core.cfg.config import Config
from sf_core.cfg.option import AUTO
from sf_core.envs.env_info import EnvInfo, look_at_env
from sf_core.eval.session import asked
from sf_core.plugins.plan import RunPlan
from sf_core.utils.cores import available_cores
from sf_core.utils.errors import UsageError

_NUM_ENVS = 16  # as many as make the answers of the policy cheap; more for machines with many cores
_ENVS_PER_CORE = 2
_MEASURE_S = 0.05  # of stepping one env
_WORTH_WORKERS_S = 0.01  # that a step of all envs takes; workers need a second to start


@dataclass(frozen=True)
class Placement:
    """Where they live.

    Attributes:
        num_workers: 0 where that is this process.
        envs_per_worker: of each worker, or of this process.
        info: what is known of the env if it was looked at.
    """

    num_workers: int
    envs_per_worker: int
    info: EnvInfo | None = field(default=None, compare=False)

    @property
    def num_envs(self) -> int:
        """Envs of all workers, or of this process."""
        return max(1, self.num_workers) * self.envs_per_worker


def place_envs(cfg: Config, plan: RunPlan, num_episodes: int) -> Placement:
    """Decide; there are never more envs than episodes.

    Raises:
        UsageError: the env cannot be made.
    """
    workers, envs = (None if asked(cfg, n) == AUTO else asked(cfg, n) for n in ("num_workers", "num_envs_per_worker"))
    total = workers * envs if workers and envs else default_num_envs(num_episodes)
    serial, info = asked(cfg, "serial_mode"), None
    if serial is None and workers is None and sys.platform != "win32":
        info = _measured(cfg, plan, total)
        serial = info is None or info.step_s * total < _WORTH_WORKERS_S
    if serial or sys.platform == "win32":
        return Placement(0, min(num_episodes, workers * envs if workers and envs else envs or total))
    if workers is None and envs is None:  # as many envs as one process would have, so that they play the same episodes
        workers = next(number for number in range(min(total, available_cores()), 0, -1) if total % number == 0)
    workers = min(workers or available_cores(), num_episodes)
    envs = min(envs or -(-total // workers), -(-num_episodes // workers))
    return Placement(workers, envs, info)


def default_num_envs(num_episodes: int) -> int:
    """Envs in all where nobody says how many."""
    return min(num_episodes, max(_NUM_ENVS, _ENVS_PER_CORE * available_cores()))


def _measured(cfg: Config, plan: RunPlan, num_envs: int) -> EnvInfo | None:
    """What a step costs; None where one process does as well as several in any case."""
    if available_cores() == 1 or num_envs == 1 or plan.env.vector_factory is not None:
        return None
    try:
        plan.check_portable()
    except UsageError:
        return None
    return look_at_env(plan.env, cfg, measure_s=_MEASURE_S, tensors="convert")
