"""Does every task start, step, repeat itself and train? A table in Markdown.

    python -m sf_plugins_vizdoom.check                      all tasks: 2,000 random steps, twice with one seed; training
    python -m sf_plugins_vizdoom.check --steps=50 --train=0 doom_basic doom_duel

A task repeats itself if two runs with one seed and the same random actions give the same frames, rewards and ends to
the last bit, for every agent. Games of several agents are played over the engine's network code, which cannot promise
it; the table says from which step two of them differed. Training is `sf-train` in serial mode
with a small network. Tasks whose map is missing are named. The exit code is 1 if a task failed, or did not repeat
itself and should have.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sf_core.utils.errors import UsageError
from sf_plugins_vizdoom.env import DoomEnv, make_doom_env
from sf_plugins_vizdoom.tasks import TASKS

ROLLOUT = 32
LONGEST_TRAINING_S = 900
SETTINGS = {"env_frameskip": 4, "res_w": 128, "res_h": 72, "wide_aspect_ratio": False, "pixel_format": "CHW"}


@dataclass(frozen=True)
class Played:
    """One run of random actions.

    Attributes:
        digests: of what the environment returned, one for the reset and one for each step.
        episodes: how many ended.
        seconds: it took, without the start of the engines.
    """

    digests: list[str]
    episodes: int
    seconds: float


def play(name: str, steps: int, seed: int) -> Played:
    """Take random steps; observations are checked against their space."""
    env = make_doom_env(name, SETTINGS, {}, task=name)
    digests = []
    try:
        env.action_space.seed(seed)
        digests.append(_digest(env.observation_space, env.reset(seed=seed)[0], []))
        episodes, started_s = 0, time.monotonic()
        for _ in range(steps):
            result: tuple[Any, ...]
            if isinstance(env, DoomEnv):
                result = env.step(env.action_space.sample())
            else:
                result = env.step([env.action_space.sample() for _ in range(env.num_agents)])
            observation, rewards, over, cut, _ = result
            ended = bool(np.any(over) or np.any(cut))
            if ended:
                episodes += 1
                if isinstance(env, DoomEnv):
                    observation = env.reset()[0]
            digests.append(_digest(env.observation_space, observation, [*np.atleast_1d(rewards), ended]))
        return Played(digests, episodes, time.monotonic() - started_s)
    finally:
        env.close()


def train(name: str, env_steps: int) -> str:
    """Train a small network; returns what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="sf_vizdoom_check_") as folder:
        command = [
            *(sys.executable, "-m", "sf_core", "train", "-p", "sf_plugins_vizdoom.plugin", f"--env={name}"),
            *("--experiment=check", f"--train_dir={folder}", f"--train_for_env_steps={env_steps}"),
            *("--serial_mode=True", "--async_rl=False", "--num_workers=1", "--num_envs_per_worker=1", "--device=cpu"),
            *(f"--rollout={ROLLOUT}", f"--batch_size={ROLLOUT * TASKS[name].num_agents}", "--rnn_size=64"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_TRAINING_S)
        except subprocess.TimeoutExpired:
            return f"no end after {LONGEST_TRAINING_S} s"
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[-1] if done.returncode else ""


def row(name: str, steps: int, train_steps: int) -> tuple[str, bool]:
    """A row of the table, and whether all is well."""
    task = TASKS[name]
    try:
        runs = [play(name, steps, seed=0) for _ in range(2)]
    except UsageError as error:
        return f"| {name} | | | | {error} | |", True
    except Exception as error:
        return f"| {name} | | | | failed: {type(error).__name__}: {error} | |", False
    players = f"{task.num_agents} + {task.num_bots}" if task.is_multiplayer else "1"
    pairs = enumerate(zip(runs[0].digests, runs[1].digests, strict=True))
    difference = next((step for step, (one, other) in pairs if one != other), None)
    rate = steps * len(runs) / sum(run.seconds for run in runs)
    wrong = train(name, train_steps) if train_steps else ""
    trains = f"NO: {wrong}" if wrong else "yes" if train_steps else "–"
    said = "yes" if difference is None else f"NO, from step {difference}"
    well = not wrong and (difference is None or task.num_agents > 1)
    return f"| {name} | {players} | {runs[0].episodes} | {rate:.0f} | {said} | {trains} |", well


def main(arguments: Sequence[str]) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sf_plugins_vizdoom.check", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="TASK", help="all of them if none is named")
    parser.add_argument("--steps", type=int, default=2000, help="random env steps of 4 tics (2000)")
    parser.add_argument("--train", type=int, default=4000, help="tics of training (4000); 0: none")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in TASKS]
    if unknown:
        parser.error(f"no task is called {', '.join(unknown)}; there are {', '.join(TASKS)}")
    print(f"| task | agents + bots | episodes in {chosen.steps} steps | env steps/s | same seed, same run | trains |")
    print("|---|---|---|---|---|---|", flush=True)
    good = True
    for name in chosen.names or TASKS:
        line, well = row(name, chosen.steps, chosen.train)
        print(line, flush=True)
        good &= well
    return 0 if good else 1


def _digest(space: Any, observation: Any, numbers: list[float]) -> str:
    """Of an observation, or a list of them, and numbers."""
    seen = hashlib.sha256(np.array(numbers, np.float64).tobytes())
    for one in observation if isinstance(observation, list) else [observation]:
        if not space.contains(one):
            raise ValueError("an observation is not in its space")
        for array in one.values() if isinstance(one, dict) else [one]:
            seen.update(np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
