"""Who trains, and how: one command line for each framework and mode.

In: a workload. Out: `Contender`s. Knows where peers are installed; runs nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sf_bench.plugin import PLUGIN
from sf_bench.workloads import Flags, Workload, words

OURS, SAMPLE_FACTORY, STABLE_BASELINES3, CLEANRL = "sf_core", "sample_factory", "stable_baselines3", "cleanrl"
PEERS = {SAMPLE_FACTORY: "sf", STABLE_BASELINES3: "sb3", CLEANRL: "cleanrl"}  # and the folders of their environments
PACKAGES = Path(__file__).parents[1]  # what has to be on PYTHONPATH of every contender
_SCRIPTS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contender:
    """One framework in one mode.

    Attributes:
        variant: of the workload; empty for the workload itself.
        command: without what depends on where the run is kept.
        environment: further variables.
        folder_flags: `--train_dir` and the like are understood.
    """

    framework: str
    mode: str
    command: tuple[str, ...]
    variant: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder_flags: bool = True

    @property
    def name(self) -> str:
        """For tables and for the JSON file."""
        return f"{self.framework}, {self.mode}" + (f" ({self.variant})" if self.variant else "")

    @property
    def entry(self) -> str:
        """The framework, and what it runs on: best modes are chosen among the contenders of one entry."""
        return self.framework + (f" ({self.variant})" if self.variant else "")


@dataclass(frozen=True)
class Peers:
    """Interpreters of the peers' environments; those that are missing do not take part."""

    folder: Path

    def python(self, framework: str) -> Path | None:
        """The interpreter, if it is there."""
        path = self.folder / PEERS[framework] / "bin" / "python"
        return path if path.exists() else None


def default_peers_folder() -> Path:
    """`$SF_BENCH_PEERS`, or `.peers` beside `benchmarks`."""
    return Path(os.environ.get("SF_BENCH_PEERS") or PACKAGES.parent / ".peers")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- ours ----


def our_flags(workload: Workload, in_turns: bool, device: str = "cpu") -> Flags:
    """What every mode of ours shares."""
    return {
        **workload.shared,
        "num_workers": workload.num_workers,
        "num_envs_per_worker": workload.num_envs_per_worker,
        "num_batches_per_epoch": workload.minibatches_in_turns if in_turns else workload.minibatches,
        "device": device,
        "save_every_sec": 3600,
    }


OUR_MODES: dict[str, Flags] = {
    "serial": {"serial_mode": True, "async_rl": False},
    "sync, 1 split": {"async_rl": False, "worker_num_splits": 1},
    "sync, 2 splits": {"async_rl": False, "worker_num_splits": 2},
    "async, 1 split": {"async_rl": True, "worker_num_splits": 1},
    "async, 2 splits": {"async_rl": True, "worker_num_splits": 2},
}


def our_command(flags: Flags, plugins: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`sf-train`, without depending on where console scripts are."""
    named = [word for plugin in (*plugins, PLUGIN) for word in ("-p", plugin)]
    return (sys.executable, "-m", "sf_core", "train", *named, "--observers=bench_progress", *words(flags))


def our_contenders(workload: Workload, device: str = "cpu") -> Iterator[Contender]:
    """Every mode, on the workload's own env and on its variants."""
    for variant, changes in {"": {}, **workload.variants}.items():
        for mode, flags in OUR_MODES.items():
            shared = our_flags(workload, in_turns=not flags["async_rl"], device=device)
            command = our_command({**shared, **changes, **flags}, workload.plugins)
            yield Contender(OURS, mode, command, variant)


# ---- Sample Factory ----


def sample_factory_command(python: Path, flags: Flags) -> tuple[str, ...]:
    """Its own training, from a script of ours that adds an observer."""
    return (str(python), str(_SCRIPTS / "run_sample_factory.py"), *words(flags))


def sample_factory_contenders(workload: Workload, python: Path, device: str = "cpu") -> Iterator[Contender]:
    """In serial mode it uses as many threads as it is given; its processes use one each, whatever they are given."""
    several = cores()
    modes: dict[str, tuple[Flags, int]] = {
        "async": ({"async_rl": True, "serial_mode": False}, 1),
        "sync": ({"async_rl": False, "serial_mode": False}, 1),
        "serial, 1 thread": ({"async_rl": False, "serial_mode": True, "worker_num_splits": 1}, 1),
        f"serial, {several} threads": ({"async_rl": False, "serial_mode": True, "worker_num_splits": 1}, several),
    }
    for mode, (flags, threads) in modes.items():
        shared: Flags = {
            **workload.shared,
            "num_batches_per_epoch": workload.minibatches if flags["async_rl"] else workload.minibatches_in_turns,
            "num_workers": workload.num_workers,
            "num_envs_per_worker": workload.num_envs_per_worker,
            "device": "cpu" if device == "cpu" else "gpu",
            "save_every_sec": 3600,
        }
        environment = {"OMP_NUM_THREADS": str(threads), "WANDB_MODE": "disabled"}
        command = sample_factory_command(python, {**shared, **flags})
        yield Contender(SAMPLE_FACTORY, mode, command, environment=environment)


# ---- stable-baselines3 ----


def stable_baselines3_contenders(workload: Workload, python: Path, device: str = "cpu") -> Iterator[Contender]:
    """One mode for each number of threads."""
    for threads in sorted({1, cores()}):
        numbers: Flags = {
            "threads": threads,
            "envs": workload.num_envs,
            "rollout": workload.number("rollout"),
            "batch": workload.number("batch_size"),
            "epochs": workload.number("num_epochs"),
            "device": device,
        }
        command = (str(python), str(_SCRIPTS / "run_stable_baselines3.py"), workload.name, *words(numbers))
        mode = f"{threads} thread" + "s" * (threads > 1)
        yield Contender(STABLE_BASELINES3, mode, command, folder_flags=False)


# ---- CleanRL ----


def cleanrl_contenders(workload: Workload, python: Path, device: str = "cpu") -> Iterator[Contender]:
    """One mode for each number of threads; its script plays Pong, in one process, and in turns."""
    for threads in sorted({1, cores()}):
        flags: Flags = {
            "threads": threads,
            "env-id": "PongNoFrameskip-v4",
            "num-envs": workload.num_envs,
            "num-steps": workload.number("rollout"),
            "num-minibatches": workload.minibatches_in_turns,
            "update-epochs": workload.number("num_epochs"),
            "total-timesteps": workload.number("train_for_env_steps"),
            "anneal-lr": False,
            "cuda": device != "cpu",
        }
        command = (str(python), str(_SCRIPTS / "run_cleanrl.py"), *words(flags))
        yield Contender(CLEANRL, f"{threads} thread" + "s" * (threads > 1), command, folder_flags=False)


def contenders_of(workload: Workload, peers: Peers, device: str = "cpu") -> list[Contender]:
    """Ours and every peer that trains this workload and is installed."""
    found = list(our_contenders(workload, device))
    makers = {
        SAMPLE_FACTORY: sample_factory_contenders,
        STABLE_BASELINES3: stable_baselines3_contenders,
        CLEANRL: cleanrl_contenders,
    }
    for framework in workload.peers:
        if python := peers.python(framework):
            found += makers[framework](workload, python, device)
    return found
