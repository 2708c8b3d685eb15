"""Learning curves on Doom, beside Sample Factory on the same budget, into docs/results.

    python benchmarks/doom_learning.py [--sf=PYTHON] [--tasks doom_basic ...] [--output=docs/results]

Ours runs with the defaults of the environment and of the engine; Sample Factory with its own defaults for Doom and the
number of environments that ours chose. What an earlier call measured stays in the files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OURS, PEER = "sf-core", "Sample Factory"
BUDGETS = {  # env steps, seeds of ours, seeds of the peer
    "doom_basic": (700_000, (1, 2, 3), (1, 2)),
    "doom_health_gathering": (1_000_000, (1,), (1,)),
    "doom_defend_the_center_flat_actions": (1_000_000, (1,), (1,)),
}
PEER_SCRIPT = Path(__file__).parent / "doom_sample_factory.py"

Curve = list[tuple[int, float, float]]
"""(env steps, seconds, mean return of the last 100 episodes)"""


def ours(task: str, seed: int, steps: int) -> Curve:
    """A run of `sf-train` with nothing but the defaults."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--env={task}", f"--seed={seed}", f"--train_for_env_steps={steps}", f"--train_dir={folder}"]
        subprocess.run([sys.executable, "-m", "sf_core", "train", *flags, "--experiment=run"], check=True)
        return read_ours(Path(folder) / "run")


def read_ours(run: Path) -> Curve:
    """The curve of a run folder."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["env_steps"], row["seconds"], row["reward_mean"]) for row in rows if row["reward_mean"] is not None]


def peer(task: str, seed: int, steps: int, python: str) -> Curve:
    """A run of Sample Factory's own Doom training."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "curve.jsonl"
        flags = [f"--env={task}", "--algo=APPO", f"--seed={seed}", f"--train_for_env_steps={steps}", "--device=cpu"]
        flags += ["--num_workers=2", "--num_envs_per_worker=14", "--worker_num_splits=2", f"--train_dir={folder}"]
        environment = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        subprocess.run([python, str(PEER_SCRIPT), str(out), *flags, "--experiment=run"], check=True, env=environment)
        return [tuple(json.loads(line)) for line in out.read_text().splitlines()]


def write(curves: dict[str, dict[str, list[Curve]]], folder: Path) -> None:
    """`doom.json`, `doom.md`, `doom.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "doom.json"
    earlier = json.loads(data.read_text()) if data.exists() else {}
    curves = {task: {**earlier.get(task, {}), **curves.get(task, {})} for task in BUDGETS}
    curves = {task: by_contender for task, by_contender in curves.items() if by_contender}
    thin = {
        task: {
            name: [run[: -1 : max(1, len(run) // 60)] + run[-1:] for run in runs] for name, runs in contenders.items()
        }
        for task, contenders in curves.items()
    }
    data.write_text(json.dumps(thin))
    _plot(thin, folder / "doom.png")
    (folder / "doom.md").write_text(_page(thin))


def _page(curves: dict[str, dict[str, list[Curve]]]) -> str:
    lines = [
        "# Doom, beside Sample Factory",
        "",
        "Written by `python benchmarks/doom_learning.py`: mean return of the last 100 training episodes (shaped, where",
        "the task shapes its reward) with the defaults of either; a column for each quarter of the budget, a row for a",
        "seed.",
        "",
        "| task | env steps | | 25 % | 50 % | 75 % | 100 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, by_contender in curves.items():
        steps = BUDGETS[task][0]
        for name, runs in by_contender.items():
            for run in runs:
                cells = (f"{_at(run, quarter * steps / 4):.2f}" for quarter in range(1, 5))
                lines.append(f"| {task} | {steps:,} | {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "![return against env steps](doom.png)", ""])


def _at(run: Curve, steps: float) -> float:
    return min(run, key=lambda point: abs(point[0] - steps))[2]


def _plot(curves: dict[str, dict[str, list[Curve]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter

    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.8 * len(curves), 3.4), squeeze=False)
    for panel, (task, by_contender) in zip(axes.flat, curves.items(), strict=True):
        for colour, (name, runs) in enumerate(by_contender.items()):
            for index, run in enumerate(runs):
                label = name if index == 0 else None
                panel.plot([p[0] for p in run], [p[2] for p in run], color=f"C{colour}", label=label)
        panel.set_title(task, fontsize=9)
        panel.set_xlabel("env steps")
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))  # 100k
        panel.legend(fontsize=8)
    axes[0, 0].set_ylabel("mean return")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> int:
    """Train, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sf", default="", help="interpreter with sample-factory[vizdoom]; empty leaves it out")
    parser.add_argument("--tasks", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    for task in args.tasks:
        steps, seeds, peer_seeds = BUDGETS[task]
        write({task: {OURS: [ours(task, seed, steps) for seed in seeds]}}, args.output)
        if args.sf:
            write({task: {PEER: [peer(task, seed, steps, args.sf) for seed in peer_seeds]}}, args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
