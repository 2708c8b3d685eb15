"""Agent steps per second of whole training runs in serial mode, beside stable-baselines3 on the same work.

    python benchmarks/train_throughput.py [cartpole] [pong] [--sb3=PYTHON] [--repeat=3] [--threads 1 2] [--json=FILE]

`--sb3` names the interpreter of an environment that has stable-baselines3 (with the same torch); without it only ours
is measured. Runs alternate; medians and their ratio are printed. The first part of each run (imports, first training
iterations) is left out on both sides: ours is read from `metrics.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = Path(__file__).parent / "peers" / "run_stable_baselines3.py"
STEPS = {"cartpole": 150_000, "pong": 8_192}
OURS = {
    "cartpole": [
        "--env=gym:CartPole-v1", "--use_rnn=False", "--encoder_mlp_layers", "512", "512", "--nonlinearity=elu",
        "--num_workers=1", "--num_envs_per_worker=20", "--rollout=32", "--batch_size=640", "--num_epochs=1",
        "--num_batches_per_epoch=1",
    ],
    "pong": ["--env=atari_pong"],
}  # fmt: skip


def ours(workload: str, steps: int, threads: int) -> float:
    """Agent steps per second between the first report and the last."""
    with tempfile.TemporaryDirectory() as folder:
        skip = 4 if workload == "pong" else 1
        command = [
            sys.executable, "-m", "sf_core", "train", *OURS[workload], "--serial_mode=True", "--device=cpu", "--seed=1",
            f"--train_dir={folder}", "--experiment=bench", f"--train_for_env_steps={(steps + steps // 4) * skip}",
            "--experiment_summaries_interval=1", f"--torch_threads={threads}", "--save_every_sec=3600",
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (Path(folder) / "bench" / "metrics.jsonl").read_text().splitlines()]
    start = next(line for line in lines if line["agent_steps"] >= steps // 5)
    return (lines[-1]["agent_steps"] - start["agent_steps"]) / (lines[-1]["seconds"] - start["seconds"])


def stable_baselines3(python: str, workload: str, steps: int, threads: int) -> float:
    """Agent steps per second after its own warm-up."""
    command = [python, str(PEER), workload, str(steps), str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["steps_per_s"])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=[], choices=[[], *STEPS])
    parser.add_argument("--sb3", help="interpreter that has stable-baselines3")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", help="write the figures here")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}), help="of torch, each measured")
    args = parser.parse_args()
    table = {}
    for workload in args.workloads or STEPS:
        rows: dict[str, list[float]] = {}
        for _ in range(args.repeat):
            for threads in args.threads:
                rate = ours(workload, STEPS[workload], threads)
                rows.setdefault(f"sf_core, {threads} threads", []).append(rate)
                if args.sb3:
                    rate = stable_baselines3(args.sb3, workload, STEPS[workload], threads)
                    rows.setdefault(f"stable-baselines3, {threads} threads", []).append(rate)
        table[workload] = {name: statistics.median(rates) for name, rates in rows.items()}
        best = {
            who: max(rate for name, rate in table[workload].items() if name.startswith(who))
            for who in ("sf_core", "stable-baselines3")
            if any(name.startswith(who) for name in rows)
        }
        for name, rate in table[workload].items():
            print(f"{workload:10} {name:30} {rate:10,.0f} agent steps/s")
        if len(best) == 2:
            print(f"{workload:10} ratio of the best modes {best['sf_core'] / best['stable-baselines3']:.2f}")
    if args.json:
        Path(args.json).write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
