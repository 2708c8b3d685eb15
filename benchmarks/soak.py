"""Does a long run stay as large as it was, and does a run that ended leave anything behind?

    python benchmarks/soak.py [--minutes=30] [--starts=50] [--json=FILE]

The first part trains for so many minutes on short episodes while envs fail and rollout workers are killed (never the
first one, so that one of them grows old), and compares the beginning, after a warm-up, with the end: memory of every
process (proportional set size), file descriptors, shared memory. The second part starts so many runs and stops each
with Ctrl+C as soon as it trains, every tenth by kill -9 of the runner, and looks for processes, shared memory and
temporary files that are left. Exit code 1 where anything grew or stayed. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY_S = 5.0
KILL_EVERY_S = 90.0
WARM_UP = 0.3  # of the time: caches, averages over the last episodes and rates over the last five minutes fill up
MAX_GROWTH = 0.03  # of memory, from the third after the warm-up to the last third
SLACK_MB = 4.0  # below this a growth is noise
MB = 2**20
TORCHS_CACHE = "torchinductor_*"  # one folder per user, made when torch's optimizers are first used

FLAGS = (
    "-p", str(Path(__file__).parent / "soak_env.py"), "--env=soak", "--num_workers=3", "--num_envs_per_worker=16",
    "--policy_workers_per_policy=2", "--device=cpu", "--seed=1", "--experiment=soak", "--num_epochs=1",
    "--train_for_env_steps=1000000000000", "--experiment_summaries_interval=1", "--torch_threads=2",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    pss_mb: float
    descriptors: int


@dataclass(frozen=True)
class Growth:
    """A quantity after the warm-up and at the end (medians of a third of the remaining time each)."""

    what: str
    before: float
    after: float
    unit: str

    @property
    def is_flat(self) -> bool:
        """Whether the difference is noise. Numbers of descriptors and shared memory may not grow at all."""
        if self.unit == "MB":
            return self.after - self.before <= max(SLACK_MB, MAX_GROWTH * self.before)
        return self.after <= self.before


def main() -> int:
    """Both parts, one table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--json", help="write the figures here")
    args = parser.parse_args()
    figures: dict[str, object] = {}
    good = True
    if args.minutes:
        growths, result = soak(60 * args.minutes)
        print(table(growths, result), flush=True)
        figures["soak"] = {"result": result, "growth": [vars(growth) for growth in growths]}
        good = all(growth.is_flat for growth in growths)
    if args.starts:
        left = starts_and_stops(args.starts)
        print(f"{args.starts} starts and stops: " + ("nothing is left" if not left else "\n".join(left)), flush=True)
        figures["starts"] = {"runs": args.starts, "left": left}
        good = good and not left
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if good else 1


def soak(seconds: float) -> tuple[list[Growth], dict[str, object]]:
    """Train for so long; returns how every quantity grew, and the run's `result.json`."""
    with tempfile.TemporaryDirectory() as folder, a_run(Path(folder), failures=1e-5) as run:
        wait_until_it_trains(run, Path(folder))
        begin_s = last_kill_s = time.monotonic()
        samples: dict[str, list[tuple[float, float]]] = defaultdict(list)  # quantity -> (time, value)
        while (now_s := time.monotonic() - begin_s) < seconds:
            if run.poll() is not None:
                output = (Path(folder) / "output.txt").read_text()
                raise SystemExit(f"the run ended with exit code {run.returncode}\n{output[-5000:]}")
            processes = family(run.pid)
            for quantity, value in measure(processes).items():
                samples[quantity].append((now_s, value))
            workers = [pid for pid, title in processes.items() if re.fullmatch(r"sf-rollout [1-9]\d*", title)]
            if workers and time.monotonic() - last_kill_s > KILL_EVERY_S:
                last_kill_s = time.monotonic()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
            time.sleep(SAMPLE_EVERY_S)
        run.send_signal(signal.SIGINT)
        run.wait(60)
        result = json.loads((Path(folder) / "soak" / "result.json").read_text())
    return [growth(quantity, points, seconds) for quantity, points in sorted(samples.items())], result


def measure(processes: dict[int, str]) -> dict[str, float]:
    """Memory and descriptors by title and in all. Workers that are killed are not looked at one by one."""
    found: dict[str, float] = defaultdict(float)
    shared: dict[str, int] = {}  # file -> bytes
    for pid, title in processes.items():
        with contextlib.suppress(OSError):
            sample = sample_of(pid, shared)
            found["all processes|MB"] += sample.pss_mb
            is_young = "spawn_main" in title or re.fullmatch(r"sf-rollout [1-9]\d*", title)
            if not is_young:
                found[f"{title}|MB"] = sample.pss_mb
                found[f"{title}|descriptors"] = sample.descriptors
    found["shared memory|shared MB"] = sum(shared.values()) / MB
    found["shared memory|files"] = len(shared)
    return dict(found)


def sample_of(pid: int, shared: dict[str, int]) -> Sample:
    """One process; adds the shared memory that it maps or holds open, anonymous or in /dev/shm, to `shared`."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss_kb = int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
    descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    for descriptor in [*descriptors, *Path(f"/proc/{pid}/map_files").iterdir()]:
        with contextlib.suppress(OSError):
            if (name := os.readlink(descriptor)).startswith(("/memfd:", "/dev/shm/")):
                status = descriptor.stat()
                shared[f"{name} {status.st_ino}"] = status.st_blocks * 512
    return Sample(pss_kb / 1024, len(descriptors))


def growth(quantity: str, points: list[tuple[float, float]], seconds: float) -> Growth:
    """Medians of the first and of the last third of what follows the warm-up."""
    what, _, unit = quantity.partition("|")
    first, last = WARM_UP * seconds, seconds
    third = (last - first) / 3
    before = [value for at, value in points if first <= at < first + third]
    after = [value for at, value in points if at >= last - third]
    return Growth(what, statistics.median(before or [0]), statistics.median(after or [0]), unit)


def table(growths: list[Growth], result: dict[str, object]) -> str:
    """What was measured, one line each."""
    lines = [
        "{status}: {env_steps:,} env steps, {episodes:,} episodes, {env_restarts} env failures, "
        "{worker_restarts} workers killed, in {seconds:.0f} s".format(**result),
        f"{'':28}{'after warm-up':>14}{'at the end':>14}",
    ]
    for one in growths:
        verdict = "" if one.is_flat else "   GREW"
        lines.append(f"{one.what:28}{one.before:14.1f}{one.after:14.1f} {one.unit}{verdict}")
    return "\n".join(lines)


def starts_and_stops(number: int) -> list[str]:
    """Start and stop runs; returns a line for everything that one of them left."""
    left = []
    for index in range(1, number + 1):
        method, kill = ("forkserver" if index % 2 else "spawn"), index % 10 == 0
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "tmp"
            temporary.mkdir()
            with a_run(Path(folder), TMPDIR=str(temporary), SF_START_METHOD=method) as run:
                wait_until_it_trains(run, Path(folder))
                seen = family(run.pid)
                shared = {path for pid in seen for path in named_shared_memory(pid)}
                run.send_signal(signal.SIGKILL if kill else signal.SIGINT)
                run.wait(60)
            alive = outlived(seen)
            found = [f"process {title!r}" for title in alive]
            found += [f"shared memory {path.name}" for path in shared if path.exists()]
            found += [f"temporary file {path.name}" for path in temporary.iterdir() if not path.match(TORCHS_CACHE)]
            if run.returncode != (-signal.SIGKILL if kill else 130):
                found.append(f"exit code {run.returncode}")
            how = "kill -9" if kill else "Ctrl+C"
            left += [f"run {index} ({method}, {how}) left {what}" for what in found]
            print(f"{index}: {method}, {how}: {', '.join(found) or 'clean'}", file=sys.stderr, flush=True)
    return left


@contextlib.contextmanager
def a_run(folder: Path, failures: float = 0.0, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`sf-train` as a process; killed with all of its processes if it is still there."""
    command = [sys.executable, "-m", "sf_core", "train", *FLAGS, f"--train_dir={folder}"]
    command.append(f"--failure_probability={failures}")
    with (folder / "output.txt").open("wb") as output:
        run = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield run
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()


def wait_until_it_trains(run: subprocess.Popen[bytes], folder: Path, patience_s: float = 600.0) -> None:
    """Return when the first iteration was reported."""
    metrics, deadline_s = folder / "soak" / "metrics.jsonl", time.monotonic() + patience_s
    while not (metrics.exists() and re.search(r'"policy_version": [1-9]', metrics.read_text())):
        if run.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit(f"the run did not begin to train\n{(folder / 'output.txt').read_text()}")
        time.sleep(0.2)


def family(root: int) -> dict[int, str]:
    """Process id -> title of a process and all of its descendants, without zombies."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text().partition(" (")
            state, parent = rest.rpartition(") ")[2].split()[:2]
            if state != "Z":
                children[int(parent)].append(int(pid))
    found, queue = {root: "runner"}, [root]
    while queue:
        for child in children[queue.pop()]:
            queue.append(child)
            found[child] = title_of(child)
    return found


def title_of(pid: int) -> str:
    """As `ps` shows it, without what a title of multiprocessing's own helpers says of file descriptors."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    except OSError:
        return "gone"
    for helper in ("resource_tracker", "forkserver"):
        if helper in title:
            return helper
    return title


def outlived(seen: dict[int, str], patience_s: float = 5.0) -> list[str]:
    """Titles of these processes that are still there after a moment."""
    deadline_s = time.monotonic() + patience_s
    while alive := [title for pid, title in seen.items() if title_of(pid) == title and title != "gone"]:
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.1)
    return alive


def named_shared_memory(pid: int) -> list[Path]:
    """Files in /dev/shm that a process maps."""
    with contextlib.suppress(OSError):
        return [Path(name) for name in re.findall(r" (/dev/shm/\S+)", Path(f"/proc/{pid}/maps").read_text())]
    return []


if __name__ == "__main__":
    sys.exit(main())
