"""Does it still learn? Every task, several seeds, fixed budgets, stable-baselines3 side by side.

    python benchmarks/learning [full] [--tasks cartpole memory ...] [--modes serial ...] [--seeds=3] [--sb3=PYTHON]

Prints as it goes, writes the table and pictures into --output, and exits with 1 if we missed a target.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import report
from contenders import MODES, Curve, ours, stable_baselines3
from tasks import TASKS, Task

PEER = "stable-baselines3"
PEER_CANNOT = ("several agents",)


def main() -> int:
    """Train everything that was asked for; 1 if a target was missed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", nargs="?", choices=["short", "full"], default="short", help="full: longer, five seeds")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", type=int, help="3; 5 of the full suite")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all budgets, for a quick look")
    parser.add_argument("--sb3", default=sys.executable, help="interpreter with sb3-contrib; none leaves it out")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    full = args.size == "full"
    seeds = range(1, 1 + (args.seeds or (5 if full else 3)))

    jobs: dict[tuple[str, str, int], Future[Curve]] = {}
    # what computes on one thread shares the machine; the others have it for themselves, and come first
    with ThreadPoolExecutor(1) as alone:
        for name, task, steps in _chosen(args.tasks, full, args.scale):
            for mode in args.modes:
                if mode != "serial":
                    for seed in seeds:
                        jobs[name, mode, seed] = alone.submit(partial(ours, task, mode, seed, steps, cores))
        _wait(jobs)
    with ThreadPoolExecutor(cores) as together:
        for name, task, steps in _chosen(args.tasks, full, args.scale):
            for seed in seeds:
                if "serial" in args.modes:
                    jobs[name, "serial", seed] = together.submit(partial(ours, task, "serial", seed, steps, cores))
                if args.sb3 != "none" and task.needs not in PEER_CANNOT:
                    jobs[name, PEER, seed] = together.submit(partial(stable_baselines3, task, seed, steps, args.sb3))
        _wait(jobs)

    curves: report.Curves = {}
    for name, _, _ in _chosen(args.tasks, full, args.scale):
        for contender in (*args.modes, PEER):
            runs = [jobs[name, contender, seed].result() for seed in seeds if (name, contender, seed) in jobs]
            if runs:
                curves.setdefault(name, {})[contender] = runs
    report.write(curves, args.output)
    missed = report.failures(curves)
    print("\n".join(["", *missed]) if missed else "\nEvery target was reached.")
    return 1 if missed else 0


def _chosen(names: list[str], full: bool, scale: float) -> list[tuple[str, Task, int]]:
    budgets = {name: (TASKS[name].full_steps if full else 0) or TASKS[name].steps for name in names}
    return [(name, TASKS[name], max(1, int(steps * scale))) for name, steps in budgets.items() if steps]


def _wait(jobs: dict[tuple[str, str, int], Future[Curve]]) -> None:
    for (task, contender, seed), job in jobs.items():
        steps, seconds, mean = job.result()[-1]
        print(f"{task:15} {contender:18} seed {seed}: {mean:10.2f} after {steps:,} steps, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
