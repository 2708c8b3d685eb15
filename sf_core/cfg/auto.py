"""`--num_workers=auto` and `--num_envs_per_worker=auto` as numbers.

Comes in: a checked configuration, how many agents one environment has and, for an asynchronous run, what one costs.
Leaves: two numbers. This file does not know environments or engines; it only counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sf_core.cfg.checks import multiples_near
from sf_core.cfg.config import Config
from sf_core.cfg.option import AUTO
from sf_core.utils.cores import available_cores
from sf_core.utils.errors import UsageError

_LEAST_ASYNC_ENVS = 2  # per worker: one acts while the other steps
_BUSY_S = 0.01  # of stepping a group: longer than most policies take to answer, so its worker need not wait
_SHARE_OF_MEMORY = 0.5  # of what is free: the model, its optimizer and the dataset need the rest


@dataclass(frozen=True)
class EnvCost:
    """What was measured of one environment; 0 and None mean not known.

    Attributes:
        step_s: seconds of one step of it, resets included.
        env_bytes: memory of one environment, with what it brings into its process.
        rollout_bytes: of one rollout of all its agents.
        free_bytes: memory that the run may use.
    """

    step_s: float = 0.0
    env_bytes: int = 0
    rollout_bytes: int = 0
    free_bytes: int | None = None


def resolve_num_envs(cfg: Config, agents_per_env: int = 1, cost: EnvCost | None = None) -> tuple[int, int]:
    """`(num_workers, num_envs_per_worker)`.

    When collecting and training take turns (serial or synchronous), one rollout of every agent fills exactly one
    dataset of `batch_size * num_batches_per_epoch` transitions: with more environments data would wait and grow stale,
    with fewer a dataset would need several rounds and the policy would see less variety. Where agents do not divide the
    dataset, the nearest number of environments below is taken.

    An asynchronous run has a worker for each core, and as many environments as fill one dataset with one rollout of
    every agent: with fewer, requests to inference are small, and each costs almost as much as a large one; with more,
    rollouts grow old. Slow environments get fewer: as many as keep their worker busy (10 ms a group) while inference
    answers another group. Environments and rollouts together take at most half of the memory that is free.

    In serial mode workers are only a way of counting, so all environments are one worker's. A command line that was
    meant for an asynchronous run and is run serially by the engine keeps its numbers as far as they fit into a dataset.

    Raises:
        UsageError: one of the numbers is given and no value of the other fits.
    """
    serial = bool(cfg.serial_mode)
    workers, envs = cfg.num_workers, cfg.num_envs_per_worker
    rollouts = cfg.batch_size * cfg.num_batches_per_epoch // cfg.rollout
    wanted = max(1, rollouts // agents_per_env)
    if cfg.async_rl and not serial:
        workers = available_cores() if workers == AUTO else workers
        cost = cost or EnvCost()
        if envs == AUTO:
            return _within_memory(workers, _async_envs(wanted, workers, cfg.worker_num_splits, cost.step_s), cfg, cost)
        return workers, envs
    if serial and cfg.origin("serial_mode") == "engine":
        asked = wanted if AUTO in (workers, envs) else workers * envs
        given = workers if workers != AUTO else envs if envs != AUTO else 1
        if wanted % asked or wanted % given:
            return 1, _largest_divisor(wanted, asked)
    if workers == AUTO and envs == AUTO:
        return (1, wanted) if serial else _spread(wanted, cfg.worker_num_splits)
    if workers == AUTO:
        return _share(wanted, envs, "num_envs_per_worker", "num_workers"), envs
    if envs == AUTO:
        return workers, _share(wanted, workers, "num_workers", "num_envs_per_worker")
    return workers, envs


def _async_envs(wanted: int, workers: int, splits: int, step_s: float) -> int:
    """One rollout of each fills a dataset, or fewer that keep a worker busy, in groups of equal size."""
    envs = -(-wanted // workers)
    if step_s > 0:
        envs = min(envs, splits * math.ceil(_BUSY_S / step_s))
    return -(-max(_LEAST_ASYNC_ENVS, envs) // splits) * splits


def _within_memory(workers: int, envs: int, cfg: Config, cost: EnvCost) -> tuple[int, int]:
    """Fewer environments, then fewer workers where these are free to choose, until they fit into the memory."""
    bytes_per_env = cost.env_bytes + cost.rollout_bytes
    if cost.free_bytes is None or not bytes_per_env:
        return workers, envs
    affordable = int(_SHARE_OF_MEMORY * cost.free_bytes / bytes_per_env)
    least = min(envs, max(_LEAST_ASYNC_ENVS, cfg.worker_num_splits))
    if workers * envs > affordable:
        splits = cfg.worker_num_splits
        envs = max(least, affordable // workers // splits * splits)
    if workers * envs > affordable and cfg.num_workers == AUTO:
        workers = max(1, affordable // envs)
    return workers, envs


def _spread(wanted: int, splits: int) -> tuple[int, int]:
    """As many workers as there are cores, but all with equally many environments that split evenly."""
    for even in (splits, 1):
        for workers in range(min(available_cores(), wanted), 0, -1):
            if wanted % workers == 0 and wanted // workers % even == 0:
                return workers, wanted // workers
    return 1, wanted


def _share(wanted: int, given: int, given_name: str, other_name: str) -> int:
    if wanted % given == 0:
        return wanted // given
    if given > wanted:
        raise UsageError(
            f"{given_name}={given} is more than the {wanted} environments whose rollouts fill a dataset; "
            f"try --{given_name}={wanted}, or a larger --batch_size."
        )
    raise UsageError(
        f"{given_name}={given} does not divide the {wanted} environments whose rollouts fill a dataset; "
        f"try --{given_name}={_largest_divisor(wanted, given)}, or give --{other_name} and a --batch_size that fits "
        f"({multiples_near(wanted, given)} rollouts)."
    )


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(min(limit, number), 0, -1) if number % divisor == 0)
