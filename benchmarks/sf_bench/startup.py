"""How long until something happens: the first env step of a training run, and the commands that only tell.

In: where peers are. Out: seconds, beside those of importing torch, which no contender can do without.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sf_bench import first_step
from sf_bench.contenders import (
    OUR_MODES,
    OURS,
    SAMPLE_FACTORY,
    Contender,
    Peers,
    our_command,
    our_flags,
    sample_factory_command,
)
from sf_bench.measure import contender_environment
from sf_bench.processes import end
from sf_bench.workloads import CARTPOLE

_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Command:
    """Something to be timed: until it ends, or (`first_step`) until an env is stepped."""

    name: str
    contender: Contender
    first_step: bool = False


def commands(peers: Peers) -> list[Command]:
    """Everything that is timed."""
    ours = [sys.executable, "-m", "sf_core"]
    found = [
        Command("import torch", Contender("python", "", (sys.executable, "-c", "import torch"), folder_flags=False)),
        Command("sf-list", Contender(OURS, "", (*ours, "list"), folder_flags=False)),
        Command("sf-train --help", Contender(OURS, "", (*ours, "train", "--help"), folder_flags=False)),
    ]
    for mode in ("serial", "async, 2 splits"):
        flags = {**our_flags(CARTPOLE, in_turns=mode == "serial"), **OUR_MODES[mode]}
        command = (*our_command(flags), "--env_wrappers=bench_first_step")
        found.append(Command(f"sf_core, {mode}: first env step", Contender(OURS, mode, command), True))
    if python := peers.python(SAMPLE_FACTORY):
        for mode, serial in (("serial", True), ("async", False)):
            flags = {**our_flags(CARTPOLE, in_turns=serial), "serial_mode": serial, "async_rl": not serial}
            command = sample_factory_command(python, flags)
            environment = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
            contender = Contender(SAMPLE_FACTORY, mode, command, environment=environment)
            found.append(Command(f"sample_factory, {mode}: first env step", contender, True))
    return found


def seconds_of(command: Command) -> float:
    """Wall-clock time.

    Raises:
        RuntimeError: it failed, or it took too long; with what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="sf_bench_") as name:
        folder, output = Path(name), Path(name) / "output.txt"
        step = folder / "first_step"
        variables: Mapping[str, str] = {first_step.VARIABLE: str(step), **_unmeasured(folder)}
        flags = (f"--train_dir={folder}", "--experiment=run") if command.contender.folder_flags else ()
        begin_s = time.monotonic()
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command.contender.command, *flags],
                env=contender_environment(command.contender, variables),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if not command.first_step:
                code = process.wait(_PATIENCE_S)
                took_s = time.monotonic() - begin_s
                if code == 0:
                    return took_s
            while command.first_step and process.poll() is None and time.monotonic() < begin_s + _PATIENCE_S:
                if written_s := first_step.read_time(step):
                    return written_s - begin_s
                time.sleep(0.02)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end(process)
        last = output.read_text("utf-8", errors="replace").splitlines()[-8:]
        raise RuntimeError("\n".join([f"{command.name} failed", *last]))


def measure_startup(
    peers: Peers, repeat: int, put: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> dict[str, Any]:
    """Every command once per round; the section of the results."""
    section: dict[str, Any] = {"rounds": {}, "summary": {}}
    for _ in range(repeat):
        for command in commands(peers):
            try:
                took_s = seconds_of(command)
            except RuntimeError as error:
                say(f"start-up: FAILED: {error}")
                section.setdefault("errors", []).append(str(error))
                continue
            section["rounds"].setdefault(command.name, []).append(round(took_s, 3))
            say(f"start-up: {command.name}: {took_s:.2f} s")
            section["summary"] = {name: statistics.median(times) for name, times in section["rounds"].items()}
            put(section)
    return section


def _unmeasured(folder: Path) -> dict[str, str]:
    """Contenders expect to be told what to measure; here nothing is read from it."""
    from sf_bench.progress import Order

    return Order(str(folder / "progress.jsonl"), 0.0, 1e9).to_environment()
