"""One run of one contender, as a process that is watched until it has written enough, and then ended for certain.

In: a contender and how long to measure. Out: a `Measurement`; one that failed says why and loses nothing else.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sf_bench import first_step
from sf_bench.contenders import OURS, PACKAGES, SAMPLE_FACTORY, Contender
from sf_bench.processes import end, memory_of
from sf_bench.progress import Order, read_progress, steady_window

WORKER_TITLES = {OURS: "sf-rollout", SAMPLE_FACTORY: "sf2-rollout"}
PATIENCE_S = 240.0  # a slow start, or a training iteration that takes a minute, is not yet a failure
_LAST_LINES = 12


@dataclass(frozen=True)
class Measurement:
    """What one run gave.

    Attributes:
        rate: agent steps per second in the steady state; None if the run failed.
        seconds: length of the steady state.
        iterations: training iterations in it.
        parameters: of the network.
        gradient_steps_per_1000: for a thousand agent steps, over the whole run.
        first_step_s: from the start of the command to the first step of an env.
        worker_mb: memory of one rollout worker without shared memory, the median.
        error: why there is no rate.
    """

    rate: float | None = None
    seconds: float = 0.0
    iterations: int = 0
    parameters: int | None = None
    gradient_steps_per_1000: float | None = None
    first_step_s: float | None = None
    worker_mb: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the results file; what is not known is left out."""
        return {name: value for name, value in vars(self).items() if value not in (None, "")}


def measure(
    contender: Contender, *, seconds: float, warmup_s: float, memory: bool = False, patience_s: float = PATIENCE_S
) -> Measurement:
    """Start the contender, let it train, and read its steady state.

    Args:
        contender: who.
        seconds: of steady state.
        warmup_s: after the first training iteration.
        memory: look at the memory of rollout workers while it trains.
        patience_s: beyond `warmup_s` and `seconds`; then it is ended, and that is the error.
    """
    with tempfile.TemporaryDirectory(prefix="sf_bench_") as name:
        folder = Path(name)
        progress, first = folder / "progress.jsonl", folder / "first_step"
        order = Order(str(progress), warmup_s, seconds)
        log = folder / "output.txt"
        environment = contender_environment(contender, {**order.to_environment(), first_step.VARIABLE: str(first)})
        deadline_s = time.monotonic() + warmup_s + seconds + patience_s
        started_s = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*contender.command, *_folder_flags(contender, folder)],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        worker_mb: list[float] = []
        try:
            code = None
            while code is None and time.monotonic() < deadline_s:
                try:
                    code = process.wait(0.5)
                except subprocess.TimeoutExpired:
                    if memory and progress.exists():
                        worker_mb = memory_of(process.pid, WORKER_TITLES[contender.framework]) or worker_mb
        finally:
            end(process)
        points, facts = read_progress(progress)
        if contender.framework == OURS:
            facts = _our_facts(folder / "run") or facts
        window = steady_window(points, warmup_s)
        first_s = first_step.read_time(first)
        found = Measurement(
            parameters=int(facts["parameters"]) if facts else None,
            gradient_steps_per_1000=round(1000 * facts["gradient_steps"] / facts["agent_steps"], 3) if facts else None,
            first_step_s=first_s - started_s if first_s else None,
            worker_mb=statistics.median(worker_mb) if worker_mb else None,
            rate=window.rate if window else None,
            seconds=window.seconds if window else 0.0,
            iterations=window.iterations if window else 0,
        )
        if window and code == 0:
            return found
        why = "took too long" if code is None else f"exit code {code}"
        last = log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return Measurement(**{**vars(found), "rate": None, "error": "\n".join([why, *last])})


def contender_environment(contender: Contender, more: Mapping[str, str]) -> dict[str, str]:
    """Variables of its process. Nothing of the measuring process's Python leaks into that of a peer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMP_", "MKL_"))}
    path = [str(PACKAGES)]
    if contender.framework == OURS and (own := os.environ.get("PYTHONPATH")):
        path.append(own)
    return {**kept, "PYTHONPATH": os.pathsep.join(path), **contender.environment, **more}


def _folder_flags(contender: Contender, folder: Path) -> tuple[str, ...]:
    return (f"--train_dir={folder}", "--experiment=run") if contender.folder_flags else ()


def _our_facts(run: Path) -> dict[str, float]:
    """Parameters and gradient steps, from what a run leaves behind."""
    try:
        result = json.loads((run / "result.json").read_text("utf-8"))
        weights = run / "checkpoint_p0" / result["checkpoint"] / "model.safetensors"
        return {
            "parameters": _num_parameters(weights),
            "gradient_steps": result["policy_version"],
            "agent_steps": result["agent_steps"],
        }
    except (OSError, KeyError, TypeError, ValueError):  # it did not get that far
        return {}


def _num_parameters(weights: Path) -> int:
    """Numbers in a safetensors file, without the statistics of normalisers; its header is JSON."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__" and "normalizer" not in name:
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total
