"""Who learns: our engine in each of its modes, and stable-baselines3. One run gives one curve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tasks import Task

HERE = Path(__file__).parent
MODES = ("serial", "sync", "async")
RNN_SIZE = 64

Curve = list[tuple[int, float, float]]
"""(agent steps, seconds since training began, mean return of the last 100 episodes), in order"""


def ours(task: Task, mode: str, seed: int, steps: int, cores: int) -> Curve:
    """A run of `sf-train`: `serial` on one thread, `sync` and `async` on all cores."""
    s = task.settings
    # two env workers: the learner and inference need a core as well
    workers = 1 if mode == "serial" else min(2, s.num_envs)
    agents = 2 if task.needs == "several agents" else 1
    flags = {
        "env": task.env,
        "seed": seed,
        "device": "cpu",
        "torch_threads": 1 if mode == "serial" else cores,
        "serial_mode": mode == "serial",
        "async_rl": mode == "async",
        "num_workers": workers,
        "num_envs_per_worker": s.num_envs // workers // agents,
        "rollout": s.rollout,
        "recurrence": s.rollout if s.memory else 1,
        "batch_size": s.minibatch,
        "num_batches_per_epoch": s.num_envs * s.rollout // s.minibatch,
        "num_epochs": s.epochs,
        "shuffle_minibatches": True,
        "learning_rate": s.learning_rate,
        "lr_schedule": "linear_decay" if s.linear_decay else "constant",
        "adam_eps": 1e-5,
        "gamma": s.gamma,
        "gae_lambda": s.gae_lambda,
        "ppo_clip_ratio": s.clip,
        "ppo_clip_value": 1e6,  # stable-baselines3 does not clip values
        "value_loss_coeff": 0.5,
        "max_grad_norm": 0.5,
        "exploration_loss_coeff": s.entropy,
        "encoder_mlp_layers": ",".join(map(str, s.hidden)),
        "nonlinearity": "tanh",
        "policy_init_gain": 2**0.5,  # the rest of the network: as stable-baselines3 begins
        "policy_head_init_gain": 0.01,
        "actor_critic_share_weights": False,
        "adaptive_stddev": False,
        "normalize_input": s.normalize,
        "normalize_returns": s.normalize,
        "use_rnn": s.memory,
        "rnn_type": "lstm",
        "rnn_size": RNN_SIZE,
        "train_for_env_steps": steps,
        "experiment_summaries_interval": 1,
        "save_every_sec": 3600,
        "experiment": "run",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sf_core", "train", f"--train_dir={folder}"]
        command += [f"--{name}={value}" for name, value in flags.items()]
        if task.own:
            command += ["-p", str(HERE / "envs.py")]
        _run(command)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
    reports = [json.loads(line) for line in lines]
    return [(r["agent_steps"], r["seconds"], r["reward_mean"]) for r in reports if r["reward_mean"] is not None]


def stable_baselines3(task: Task, seed: int, steps: int, python: str) -> Curve:
    """A run of its PPO with the same numbers, on one thread."""
    done = _run([python, str(HERE / "run_stable_baselines3.py"), task.env, str(seed), str(steps), _as_json(task)])
    return [tuple(point) for point in json.loads(done.splitlines()[-1])]


def _as_json(task: Task) -> str:
    masks = task.needs == "action masks"
    return json.dumps({**vars(task.settings), "own": task.own, "masks": masks, "rnn_size": RNN_SIZE})


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout
