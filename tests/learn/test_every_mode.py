"""Every mode of the engine learns: CartPole to a mean return of 475, as `sf-train` and `sf-eval` are typed.

One mode at a time: `nox -s slow -- -k "async and vector"`. The table of what came out is printed with `-s`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = ("-p", str(Path(__file__).parent / "cartpole_plugin.py"))
SINGLE, VECTOR = ("--env=CartPole-v1",), ("--env=native_cartpole",)
SERIAL, SYNC, ASYNC = ("--serial_mode=True",), ("--async_rl=False",), ("--async_rl=True",)
TWO_WORKERS = ("--num_workers=2", "--num_envs_per_worker=4")
ONE_SPLIT, TWO_SPLITS = ("--worker_num_splits=1",), ("--worker_num_splits=2",)
TWO_INFERENCE = ("--policy_workers_per_policy=2",)

MODES = {
    "serial single": (SINGLE, SERIAL),
    "serial vector": (VECTOR, SERIAL),
    "sync single 1 split": (SINGLE, SYNC, TWO_WORKERS, ONE_SPLIT),
    "sync single 2 splits 2 inference": (SINGLE, SYNC, TWO_WORKERS, TWO_SPLITS, TWO_INFERENCE),
    "sync vector 2 splits": (VECTOR, SYNC, TWO_WORKERS, TWO_SPLITS),
    "async single 1 split": (SINGLE, ASYNC, TWO_WORKERS, ONE_SPLIT),
    "async single 2 splits": (SINGLE, ASYNC, TWO_WORKERS, TWO_SPLITS),
    "async single 2 splits 2 inference": (SINGLE, ASYNC, TWO_WORKERS, TWO_SPLITS, TWO_INFERENCE),
    "async vector 1 split": (VECTOR, ASYNC, TWO_WORKERS, ONE_SPLIT),
    "async vector 2 splits 2 inference": (VECTOR, ASYNC, TWO_WORKERS, TWO_SPLITS, TWO_INFERENCE),
    "async single auto": (SINGLE, ASYNC),
    "async single forkserver": (SINGLE, ASYNC, TWO_WORKERS, "forkserver"),
    "sync vector forkserver": (VECTOR, SYNC, TWO_WORKERS, "forkserver"),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_cartpole_is_solved(mode, tmp_path, request):
    start_method = "forkserver" if "forkserver" in mode else "spawn"
    flags = [flag for part in mode if part != "forkserver" for flag in part]
    environment = {**os.environ, "SF_START_METHOD": start_method}

    def command(*arguments):
        run = [sys.executable, "-m", "sf_core", *arguments, f"--train_dir={tmp_path}", "--experiment=cartpole"]
        return subprocess.run(run, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    command("train", *PLUGIN, *flags, "--observers=solved", "--seed=1", "--torch_threads=1", "--device=cpu")
    evaluation = json.loads(command("eval", *PLUGIN, "--episodes=50", "--device=cpu", "--json").splitlines()[-1])
    result = json.loads((tmp_path / "cartpole" / "result.json").read_text())
    mean, name = evaluation["reward_mean"], request.node.callspec.id
    print(f"\n{name}: sf-eval {mean:.1f} after {result['env_steps']:,} steps, {result['seconds']:.0f} s")
    assert mean >= 475
