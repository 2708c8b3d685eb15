"""Where the time of one training run goes: per kind of process, and function by function within each process.

In: flags of `sf-train`, or a run folder. Out: a table from the breakdown that the run itself writes to `metrics.jsonl`;
on request the costliest functions of every process, from cProfile around its body.
"""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sf_bench.tables import table

VARIABLE = "BENCH_PROFILES"  # environment: the folder that every process writes its profile to
_WAITING = "_waiting"


def profile(flags: Sequence[str], *, run: Path | None = None, num_functions: int = 0) -> int:
    """Train as `flags` say (or take a run that exists) and print where the time went; returns the exit code."""
    if run is not None:
        print(time_table(last_report(run)))
        return 0
    with tempfile.TemporaryDirectory(prefix="sf_bench_") as name:
        folder = Path(name)
        argv = [*flags, f"--train_dir={folder}", "--experiment=run", "--experiment_summaries_interval=1"]
        with profiled_processes(folder) if num_functions else _as_it_is():
            code = _train(argv)
        print(time_table(last_report(folder / "run")))
        for path in sorted(folder.glob("*.prof")):
            print(f"\n### {path.stem.replace('_', ' ')}\n\n{costliest(path, num_functions)}")
        return code


def last_report(run: Path) -> dict[str, Any]:
    """The last line of a run's `metrics.jsonl`."""
    report: dict[str, Any] = json.loads((run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    return report


def time_table(report: Mapping[str, Any]) -> str:
    """Seconds and shares by kind of process, and the run's own sentence on its bottleneck.

    In a parallel run each kind works or waits; in a serial run one process does one thing after the other.
    """
    time_s: Mapping[str, float] = report["time"]
    kinds = [name for name in time_s if not name.endswith(_WAITING)]
    parallel = any(name.endswith(_WAITING) for name in time_s)
    whole = sum(time_s[kind] for kind in kinds)
    rows = []
    for kind in kinds:
        waiting = time_s.get(kind + _WAITING, 0.0)
        total = time_s[kind] + waiting if parallel else whole
        share = f"{100 * time_s[kind] / total:.0f} %" if total else "–"
        rows.append((kind, f"{time_s[kind]:.1f}", f"{waiting:.1f}" if parallel else "", share))
    speed = report["agent_steps"] / max(report["seconds"], 1e-9)
    lines = [
        f"{report['agent_steps']:,} agent steps in {report['seconds']:.1f} s: {speed:,.0f} per second",
        table(["process" if parallel else "part", "works, s", "waits, s", "works"], rows),
    ]
    return "\n\n".join([*lines, *filter(None, [report.get("bottleneck")])])


def costliest(path: Path, num_functions: int) -> str:
    """The functions of a profile that take the most time themselves."""
    text = io.StringIO()
    pstats.Stats(str(path), stream=text).sort_stats("tottime").print_stats(num_functions)
    lines = text.getvalue().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.lstrip().startswith("ncalls"))
    return "\n".join(line for line in lines[begin:] if line.strip())


@contextmanager
def profiled_processes(folder: Path) -> Iterator[None]:
    """Every process that a run starts in here writes `<its title>.prof` to `folder`; so does this process."""
    from sf_core.runner.processes import crew

    engine: Any = crew  # which starts every process through this one name
    start = engine.start_process

    def start_profiled(role: Any, target: Callable[..., None], *args: Any) -> Any:
        return start(role, run_profiled, target, *args)

    engine.start_process = start_profiled
    os.environ[VARIABLE] = str(folder)
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(folder / "runner.prof")
        engine.start_process = start
        del os.environ[VARIABLE]


def run_profiled(role: Any, target: Callable[..., None], *args: Any) -> None:
    """The body of a process, with cProfile around it."""
    profiler = cProfile.Profile()
    leave = os._exit
    path = Path(os.environ[VARIABLE]) / f"{role.title.replace(' ', '_')}.prof"

    def dump() -> None:
        profiler.disable()
        profiler.dump_stats(path)

    def dump_and_leave(code: int) -> None:
        dump()
        leave(code)

    os._exit = dump_and_leave  # type: ignore[assignment]  # processes with torch leave this way
    profiler.enable()
    try:
        target(role, *args)
    finally:
        os._exit = leave
        dump()


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _train(argv: Sequence[str]) -> int:
    from sf_core._entry import sf_train

    try:
        return int(sf_train(list(argv)))
    except SystemExit as error:
        print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else 1
