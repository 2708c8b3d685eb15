"""Agent steps per second of Atari emulation alone: no network, no learner, random actions, one process.

    python benchmarks/atari_emulators.py [--games pong breakout] [--num_envs 1 8 32] [--threads N]
                                         [--seconds 5] [--repeat 3] [--json=FILE]

Every row plays with the settings of `--preset=atari_dqn`: four frames a step, the last two pooled, grey, 84x84, a stack
of four, no-op starts, no sticky actions. Compared are

* ale: the native vector environment of ale-py, what `--env=atari_pong` trains with;
* envpool: `--atari_backend=envpool`, if EnvPool is installed;
* stack: Gymnasium's wrapper stack (AtariPreprocessing, FrameStackObservation), one game after the other in Python
  (SyncVectorEnv), what a rollout worker of Sample Factory or a DummyVecEnv of stable-baselines3 does; needs OpenCV.
* stack, processes: the same, a process for each game (AsyncVectorEnv).

`--threads` are those of the first two; the stack has a process for each game. Measurements alternate; the median of the
repetitions is printed, and what it is in emulator frames.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_STEPS = 20


def of_backend(name: str, rom: str, num_envs: int, num_threads: int) -> Any:
    """The plugin's own vector environment."""
    from sf_plugins_atari.envpool_env import EnvPoolVectorEnv
    from sf_plugins_atari.settings import AtariSettings
    from sf_plugins_atari.vector_env import NativeVectorEnv

    make = {"ale": NativeVectorEnv, "envpool": EnvPoolVectorEnv}[name]
    return make(AtariSettings(rom=rom), num_envs, num_threads=num_threads, seeds=range(num_envs))


def one_in_the_stack(rom: str) -> Any:
    """One game in Gymnasium's wrappers."""
    import ale_py
    import gymnasium
    from ale_py.registration import rom_id_to_name
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    gymnasium.register_envs(ale_py)
    env = gymnasium.make(
        f"ALE/{rom_id_to_name(rom)}-v5", frameskip=1, repeat_action_probability=0.0, max_num_frames_per_episode=108_000
    )
    return FrameStackObservation(AtariPreprocessing(env, noop_max=30, frame_skip=4, screen_size=84), 4)


def of_stack(rom: str, num_envs: int, processes: bool) -> Any:
    """Gymnasium's vector of wrapped games."""
    from functools import partial

    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    return (AsyncVectorEnv if processes else SyncVectorEnv)([partial(one_in_the_stack, rom)] * num_envs)


def steps_per_second(env: Any, num_envs: int, seconds: float) -> float:
    """Agent steps of all games per second, after a warm-up."""
    random = np.random.default_rng(0)
    num_actions = env.single_action_space.n
    env.reset(seed=1)
    for _ in range(WARM_UP_STEPS):
        env.step(random.integers(num_actions, size=num_envs))
    start = time.perf_counter()
    steps = 0
    while time.perf_counter() - start < seconds:
        env.step(random.integers(num_actions, size=num_envs))
        steps += num_envs
    return steps / (time.perf_counter() - start)


def contestants(threads: int) -> dict[str, Callable[[str, int], Any]]:
    """Name -> how to make `num_envs` games of a ROM; without what is not installed."""
    makers: dict[str, Callable[[str, int], Any]] = {"ale": lambda rom, n: of_backend("ale", rom, n, threads)}
    if importlib.util.find_spec("envpool") is not None:
        makers["envpool"] = lambda rom, n: of_backend("envpool", rom, n, threads)
    if importlib.util.find_spec("cv2") is not None:
        makers["stack"] = lambda rom, n: of_stack(rom, n, processes=False)
        makers["stack, processes"] = lambda rom, n: of_stack(rom, n, processes=True)
    return makers


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--games", nargs="+", default=["pong", "breakout"], help="by the names of their ROMs")
    parser.add_argument("--num_envs", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=cores, help="that emulate, at most one per game")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", help="write the figures here")
    args = parser.parse_args()
    table: dict[str, float] = {}
    for rom in args.games:
        for num_envs in args.num_envs:
            makers = contestants(min(args.threads, num_envs))
            rates: dict[str, list[float]] = {name: [] for name in makers}
            for _ in range(args.repeat):
                for name, make in makers.items():
                    env = make(rom, num_envs)
                    rates[name].append(steps_per_second(env, num_envs, args.seconds))
                    env.close()
            for name, measured in rates.items():
                rate = table[f"{rom}, {num_envs} games, {name}"] = statistics.median(measured)
                print(
                    f"{rom:12} {num_envs:4} games  {name:17} {rate:9,.0f} steps/s {4 * rate:9,.0f} frames/s", flush=True
                )
    if args.json:
        Path(args.json).write_text(json.dumps({"threads": args.threads, "steps_per_s": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
