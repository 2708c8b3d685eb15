"""The parts of a workload, each measured alone on the whole machine in the arrangement that serves it best.

In: a workload. Out: rates. Arrangements: one copy per core, pinned, one thread each, all at the same time (their rates
add up); or one copy with as many threads as there are cores. For an accelerator there is one copy of the network.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sf_bench.contenders import OURS, Contender, cores, our_flags
from sf_bench.limit import Parts
from sf_bench.measure import contender_environment
from sf_bench.plugin import PLUGIN
from sf_bench.processes import end
from sf_bench.workloads import Flags, Workload, words

_PATIENCE_S = 180.0


@dataclass(frozen=True)
class PartRates:
    """What each arrangement gave, in samples per second of the whole machine."""

    env: Mapping[str, float]
    forward: Mapping[str, float]
    train: Mapping[str, float]

    def best(self, epochs: int) -> Parts:
        """The best arrangement of each part."""
        return Parts(max(self.env.values()), max(self.forward.values()), max(self.train.values()), epochs)

    def to_json(self) -> dict[str, Any]:
        """For the results file."""
        return {part: {how: round(rate, 1) for how, rate in rates.items()} for part, rates in vars(self).items()}


def measure_parts(workload: Workload, *, seconds: float, variant: str = "", device: str = "cpu") -> PartRates:
    """Measure all parts.

    Args:
        workload: of which.
        seconds: each part in each arrangement.
        variant: of the workload.
        device: of the network.

    Raises:
        RuntimeError: a copy failed; the message has what it said last.
    """
    flags = {**our_flags(workload, in_turns=False, device=device), **(workload.variants[variant] if variant else {})}
    flags = {name: value for name, value in flags.items() if name not in ("num_workers", "num_envs_per_worker")}
    several = cores()
    share = max(1, workload.num_envs // several)  # all copies together have the envs of the run
    env: dict[str, float] = {}
    forward: dict[str, float] = {}
    train: dict[str, float] = {}
    pinned = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None] * several
    arrangements: dict[str, list[tuple[list[int], int]]] = {
        f"{several} copies": [([core] if core is not None else [], 1) for core in pinned],
        f"1 copy, {several} threads": [([], several)],
    }
    for how, copies in arrangements.items():
        with _Copies(workload, flags, copies, share) as processes:
            if len(copies) == several:
                env[how] = processes.rate("env", seconds)
            if device != "cpu" and len(copies) > 1:
                continue
            processes.rate("build", 0)
            forward[how] = processes.rate("forward", seconds)
            train[how] = processes.rate("train", seconds)
    return PartRates(env, forward, train)


class _Copies:
    """Processes that measure the same part at the same time."""

    def __init__(self, workload: Workload, flags: Flags, copies: Sequence[tuple[list[int], int]], share: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sf_bench_parts_")
        self._errors = open(os.path.join(self._folder.name, "errors"), "w+b")  # noqa: SIM115  # closed in __exit__
        named = [word for plugin in (*workload.plugins, PLUGIN) for word in ("-p", plugin)]
        self._processes: list[subprocess.Popen[bytes]] = []
        for pinned, threads in copies:
            command = [
                sys.executable, "-m", "sf_bench.part_process", "--cores", *map(str, pinned), f"--threads={threads}",
                f"--env_share={share}", f"--num_agents={workload.num_envs}", "--",
                *named, *words(flags), f"--train_dir={self._folder.name}", "--experiment=parts",
            ]  # fmt: skip
            contender = Contender(OURS, "parts", (), environment={"OMP_NUM_THREADS": str(threads)})
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=contender_environment(contender, {}),
                    cwd=self._folder.name,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    start_new_session=True,
                )
            )

    def __enter__(self) -> _Copies:
        try:
            for process in self._processes:
                self._line(process, _PATIENCE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            end(process)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
        self._errors.close()
        self._folder.cleanup()

    def rate(self, part: str, seconds: float) -> float:
        """The sum over all copies."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{part} {seconds}\n".encode())
            process.stdin.flush()
        return sum(float(self._line(process, _PATIENCE_S + 3 * seconds)) for process in self._processes)

    def _line(self, process: subprocess.Popen[bytes], patience_s: float) -> str:
        """The next line of a copy; what libraries print besides is passed over."""
        assert process.stdout is not None
        deadline_s = time.monotonic() + patience_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left_s := deadline_s - time.monotonic()) > 0 and selector.select(left_s):
                if not (said := process.stdout.readline()):
                    break
                line = said.decode(errors="replace").strip()
                if line == "ready" or _is_number(line):
                    return line
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").splitlines()[-12:]
        raise RuntimeError("\n".join([f"a copy of the parts ended or was silent for {patience_s:.0f} s", *last]))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
