"""One copy of a workload's parts, measured alone: simulator, forward pass, gradient. Started by `parts`.

    python -m sf_bench.part_process --cores=0 --threads=1 --env_share=20 -- [flags of sf-train]

In: on each line of stdin a part and seconds (`forward 4.0`). Out: on stdout `ready`, then a rate for each. The model is
that of the run, acting through `Policy.act_batch` and learning through `Learner.train`; the simulator is the plain env.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sf_core import parse_full_cfg, parse_sf_args
from sf_core.cfg.checks import check
from sf_core.envs.seeding import env_seeds
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.rollout.train_batch import take_batch
from sf_core.runner.wiring import build_serial_parts, build_vector
from sf_core.utils.attr_dict import AttrDict

_ACTIONS = 512  # drawn beforehand, gone through again and again


def rate_of(step: Callable[[], int], seconds: float) -> float:
    """What `step` returns in total, per second."""
    step()  # whatever happens once
    begin_s, done = time.perf_counter(), 0
    while (now := time.perf_counter()) < begin_s + seconds or not done:
        done += step()
    return done / (time.perf_counter() - begin_s) if now else 0.0


class PlainEnvs:
    """The simulator and nothing else: what the env's factory makes, stepped with random actions."""

    def __init__(self, plan: Any, cfg: Any, num_envs: int) -> None:
        configs = tuple(
            AttrDict(worker_index=0, vector_index=index, env_id=index, seed=seed)
            for index, seed in enumerate(env_seeds(1, num_envs))
        )
        self._num_envs = num_envs
        self._turn = 0
        if plan.vector_factory is not None:
            self._vector = plan.call_vector_factory(cfg, configs, None)
            self._vector.action_space.seed(1)
            self._vector.reset()
            self._actions = [self._vector.action_space.sample() for _ in range(_ACTIONS)]
            self.step = self._step_vector
            return
        self._envs = [plan.call_factory(cfg, config, None) for config in configs]
        space = self._envs[0].action_space
        space.seed(1)
        self._actions = [space.sample() for _ in range(_ACTIONS)]
        for env in self._envs:
            env.reset()
        self.step = self._step_each

    def _step_vector(self) -> int:
        self._turn += 1
        self._vector.step(self._actions[self._turn % _ACTIONS])
        return self._num_envs

    def _step_each(self) -> int:
        for env in self._envs:
            self._turn += 1
            _, _, terminated, truncated, _ = env.step(self._actions[self._turn % _ACTIONS])
            if terminated or truncated:
                env.reset()
        return self._num_envs

    def close(self) -> None:
        """End engines."""
        for env in getattr(self, "_envs", None) or [self._vector]:
            env.close()


class Network:
    """Policy and learner of the run, with one dataset of real experience."""

    def __init__(self, cfg: Any, plan: Any, num_agents: int) -> None:
        cfg, vector = build_vector(cfg, plan)
        self._parts = parts = build_serial_parts(cfg, plan, vector)
        torch.set_num_threads(cfg.torch_threads)
        self._cfg, self._device = cfg, torch.device(parts.policy.device)
        rollouts = self._collect()
        taken = np.resize(rollouts, parts.rollouts_per_dataset)  # each as often as the dataset needs it
        self._batch = take_batch(parts.buffers, taken, self._device)
        rows = np.resize(np.arange(len(taken) * cfg.rollout), num_agents)
        self._observation = {
            key: torch.from_numpy(array[taken[rows // cfg.rollout], rows % cfg.rollout]).to(self._device)
            for key, array in parts.buffers.observation.items()
        }
        self._state = torch.zeros(num_agents, parts.policy.rnn_size, device=self._device)
        vector.close()

    def _collect(self) -> np.ndarray:
        """A rollout of every agent, as the serial engine collects them; returns their slots."""
        parts = self._parts
        parts.worker.reset(1)
        slots = parts.slots.claim(parts.worker.num_agents)
        request = parts.worker.begin(0, slots)
        parts.inference.answer([request])
        while request.t < self._cfg.rollout:
            request = parts.worker.advance(0, request.t)
            parts.inference.answer([request])
        return slots

    def act(self) -> int:
        """One forward pass for all agents of the run."""
        with torch.no_grad():
            output = self._parts.policy.act_batch(self._observation, self._state)
        output.log_prob.cpu()  # an accelerator has finished
        return len(output.log_prob)

    def learn(self) -> int:
        """One training iteration; the samples of its gradient steps."""
        learner = self._parts.learner
        self._batch.policy_version.fill_(learner.policy_version)  # always as if collected by the newest policy
        stats = learner.train(self._batch)
        if stats.skipped_updates:
            raise RuntimeError(f"updates were skipped: {', '.join(stats.culprits)} not finite")
        return int(stats.num_optimizer_steps * self._cfg.batch_size)


def main() -> None:
    """Serve one line after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", type=int, nargs="*", help="to be pinned to")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--env_share", type=int, required=True, help="envs of this copy")
    parser.add_argument("--num_agents", type=int, required=True, help="rows of a forward pass")
    parser.add_argument("flags", nargs="*")
    args = parser.parse_args()
    if args.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, args.cores)
    argv = [
        *args.flags, "--async_rl=True", "--num_workers=1", "--worker_num_splits=1", "--seed=1",
        f"--num_envs_per_worker={args.env_share}", f"--torch_threads={args.threads}",
    ]  # fmt: skip
    partial, _ = parse_sf_args(argv)
    cfg = check(parse_full_cfg(partial, argv))
    plan = build_plan(cfg, get_manager(tuple(cfg.plugins or ())))
    print("ready", flush=True)
    network = None
    for line in sys.stdin:
        part, seconds = line.split()
        if part == "env":
            envs = PlainEnvs(plan.env, cfg, args.env_share)
            rate = rate_of(envs.step, float(seconds))
            envs.close()
        elif part == "build":
            network, rate = Network(cfg, plan, args.num_agents), 0.0
        else:
            assert network is not None, "build comes first"
            rate = rate_of({"forward": network.act, "train": network.learn}[part], float(seconds))
        print(rate, flush=True)


if __name__ == "__main__":
    main()
