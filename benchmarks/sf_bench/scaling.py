"""How throughput, memory and start-up grow with workers and envs: ours beside Sample Factory, asynchronous CartPole.

In: numbers of workers and of envs per worker. Out: one cell for each, complete after every single run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sf_bench.contenders import OURS, SAMPLE_FACTORY, Contender, Peers, our_command, our_flags, sample_factory_command
from sf_bench.measure import measure
from sf_bench.training import described
from sf_bench.workloads import CARTPOLE, Flags

WORKERS = (1, 2, 4, 8, 16)
ENVS_PER_WORKER = (1, 4, 16, 64)


def contenders_at(num_workers: int, num_envs: int, peers: Peers) -> list[Contender]:
    """Both with double buffering where envs can be split."""
    flags: Flags = {
        **our_flags(CARTPOLE, in_turns=False),
        "serial_mode": False,
        "async_rl": True,
        "num_workers": num_workers,
        "num_envs_per_worker": num_envs,
        "worker_num_splits": 2 if num_envs % 2 == 0 else 1,
    }
    found = [Contender(OURS, "async", (*our_command(flags), "--env_wrappers=bench_first_step"))]
    if python := peers.python(SAMPLE_FACTORY):
        environment = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
        command = sample_factory_command(python, flags)
        found.append(Contender(SAMPLE_FACTORY, "async", command, environment=environment))
    return found


def measure_scaling(
    peers: Peers,
    seconds: float,
    put: Callable[[dict[str, Any]], None],
    say: Callable[[str], None],
    *,
    workers: Sequence[int] = WORKERS,
    envs_per_worker: Sequence[int] = ENVS_PER_WORKER,
) -> dict[str, Any]:
    """The section of the results: one run per cell and framework."""
    section: dict[str, Any] = {"seconds": seconds, "cells": []}
    for num_workers in workers:
        for num_envs in envs_per_worker:
            for contender in contenders_at(num_workers, num_envs, peers):
                found = measure(contender, seconds=seconds, warmup_s=min(2.0, seconds / 4), memory=True)
                cell = {"framework": contender.framework, "workers": num_workers, "envs_per_worker": num_envs}
                section["cells"].append({**cell, **found.to_json()})
                say(f"scaling: {contender.framework}, {num_workers} x {num_envs}: {described(found)}")
                put(section)
    return section
