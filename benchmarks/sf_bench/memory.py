"""Memory of one rollout worker on an env that costs nothing: what the framework itself weighs there.

In: where peers are. Out: megabytes, proportional set size without shared memory (the rollout buffers), beside a bare
Python with numpy and gymnasium.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from sf_bench.contenders import OURS, SAMPLE_FACTORY, Contender, Peers, our_command, sample_factory_command
from sf_bench.measure import Measurement, measure
from sf_bench.processes import end, own_memory
from sf_bench.workloads import Flags

_FLAGS: Flags = {
    "env": "bench_null",
    "use_rnn": False,
    "recurrence": 1,
    "encoder_mlp_layers": (64, 64),
    "rollout": 32,
    "batch_size": 640,
    "num_workers": 2,
    "num_envs_per_worker": 20,
    "worker_num_splits": 2,
    "async_rl": True,
    "serial_mode": False,
    "train_for_env_steps": 2_000_000_000,
    "device": "cpu",
}


def bare_python() -> float:
    """Megabytes of an interpreter that has imported what a worker cannot do without."""
    code = "import numpy, gymnasium, sys; print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        return own_memory(process.pid)
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def contenders(peers: Peers) -> list[Contender]:
    """Ours and Sample Factory; stable-baselines3 has no rollout workers."""
    found = [Contender(OURS, "async", our_command(_FLAGS))]
    if python := peers.python(SAMPLE_FACTORY):
        environment = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
        found.append(
            Contender(SAMPLE_FACTORY, "async", sample_factory_command(python, _FLAGS), environment=environment)
        )
    return found


def measure_memory(
    peers: Peers, repeat: int, put: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> dict[str, Any]:
    """The section of the results."""
    section: dict[str, Any] = {"rounds": {}, "summary": {}}

    def add(name: str, megabytes: float) -> None:
        section["rounds"].setdefault(name, []).append(round(megabytes, 1))
        section["summary"] = {who: statistics.median(sizes) for who, sizes in section["rounds"].items()}
        say(f"memory: {name}: {megabytes:.1f} MB")
        put(section)

    for _ in range(repeat):
        add("python, numpy, gymnasium", bare_python())
        for contender in contenders(peers):
            found: Measurement = measure(contender, seconds=2.0, warmup_s=0.5, memory=True)
            if found.worker_mb is None:
                say(f"memory: {contender.name}: FAILED: {found.error or 'no rollout worker was found'}")
                section.setdefault("errors", []).append(f"{contender.name}: {found.error or 'no worker was found'}")
                continue
            add(f"{contender.framework}, one rollout worker", found.worker_mb)
    return section
