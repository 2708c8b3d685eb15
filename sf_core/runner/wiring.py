"""Who talks to whom: builds the parts of a run and hands each the others it needs. The only file that knows them all.

In: configuration, plan, environments. Out: `SerialParts`. Makes every choice once; nothing here runs in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sf_core.cfg.auto import resolve_num_envs
from sf_core.cfg.checks import check_dataset_size
from sf_core.cfg.config import Config
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.tensor import TensorEnvs
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import look_at_env
from sf_core.envs.spaces import action_parts, num_action_parameters, space_to_json
from sf_core.envs.timestep import AgentVector
from sf_core.learner.update import Learner
from sf_core.model.new_policy import new_policy
from sf_core.model.policy import Policy
from sf_core.plugins.plan import RunPlan
from sf_core.rollout.batch_loader import BatchLoader
from sf_core.rollout.buffers import FieldArrays, RolloutBuffers
from sf_core.rollout.slots import SlotTable
from sf_core.rollout.tensor_buffers import TensorBuffers
from sf_core.runner.files.resume_point import ResumePoint
from sf_core.runner.threads import ThreadBudget, thread_budget
from sf_core.sampler.decorrelation import random_steps
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.rollout_worker import RolloutWorker
from sf_core.sampler.tensor_group import TensorGroup
from sf_core.sampler.tensor_inference import TensorInference
from sf_core.utils.errors import UsageError


@dataclass(frozen=True)
class SerialParts:
    """Everything a serial run is made of, in the order data passes through it."""

    worker: RolloutWorker[Any]
    inference: InferenceWorker | TensorInference
    buffers: FieldArrays[Any]
    loader: BatchLoader
    slots: SlotTable
    rollouts_per_dataset: int
    learner: Learner
    policy: Policy
    threads: ThreadBudget
    generators: dict[str, torch.Generator]
    """Sources of randomness that a checkpoint keeps."""
    resume_point: ResumePoint | None
    """Where the episodes stand, if these envs can be played again."""

    def counters(self) -> dict[str, int]:
        """Numbers for the reports."""
        return {
            "approximate_bootstraps": self.inference.approximate_bootstraps,
            "late_rewards": self.worker.late_rewards,
        }


def build_vector(cfg: Config, plan: RunPlan) -> tuple[Config, AgentVector | TensorEnvs]:
    """All environments of a serial run as one vector, and `cfg` with the numbers behind `auto`.

    One environment is looked at first: how many are needed may depend on its number of agents, and what is wrong with
    it is found before anything is written. A native vector has one agent in each, and may not bear a second one.
    """
    agents_per_env = 1
    if plan.env.vector_factory is None:
        agents_per_env = look_at_env(plan.env, cfg, tensors="convert").num_agents
    if "auto" in (cfg.num_workers, cfg.num_envs_per_worker):
        num_workers, num_envs_per_worker = resolve_num_envs(cfg, agents_per_env)
        cfg = cfg.replace("auto", num_workers=num_workers, num_envs_per_worker=num_envs_per_worker)
    num_envs = cfg.num_workers * cfg.num_envs_per_worker
    vector = create_agent_vector(plan.env, cfg, num_envs, seed=cfg.seed, tensors="keep")
    check_dataset_size(cfg, vector.agents_per_env)
    return cfg, vector


def build_serial_parts(cfg: Config, plan: RunPlan, vector: AgentVector | TensorEnvs) -> SerialParts:
    """Model, buffers, sampler and learner of a serial run around `vector`."""
    torch.manual_seed(cfg.seed)
    np.random.seed(cfg.seed % 2**32)  # for env code that draws from the global generator

    policy = new_policy(plan.model, cfg, vector.observation_space, vector.action_space)
    device = policy.device
    rollouts_per_dataset = cfg.batch_size * cfg.num_batches_per_epoch // cfg.rollout
    table: dict[str, Any] = {
        "num_action_parameters": num_action_parameters(vector.action_space),
        "rnn_size": policy.rnn_size,
        # slots being filled, and those that wait until a dataset is complete
        "num_slots": vector.num_agents + rollouts_per_dataset,
        "num_agents": vector.num_agents,
        "rollout": cfg.rollout,
        "recurrence": cfg.recurrence,
    }
    space, parts = vector.observation_space, action_parts(vector.action_space)
    rewards = {"reward_scale": cfg.reward_scale, "reward_clip": cfg.reward_clip}
    actions = torch.Generator(device=device).manual_seed(cfg.seed)
    buffers: FieldArrays[Any]
    worker: RolloutWorker[Any]
    inference: InferenceWorker | TensorInference
    resume_point = None
    if isinstance(vector, TensorEnvs):
        _check_same_device(vector, device)
        buffers = tensors = TensorBuffers(space, parts, device=vector.device, **table)
        worker = RolloutWorker([TensorGroup(vector, tensors, **rewards)])
        inference = TensorInference(policy, tensors, vector.num_agents, generator=actions)
    else:
        buffers = arrays = RolloutBuffers(space, parts, **table)
        steps = random_steps(cfg.rollout, cfg.num_envs_per_worker, 0, vector.num_envs)
        steps = steps if cfg.decorrelate_envs_on_one_worker else ()
        group = EnvGroup(vector, arrays, random_steps=steps, **rewards)
        worker = RolloutWorker([group])
        inference = acting = InferenceWorker(policy, arrays, vector.num_agents, generator=actions)
        if isinstance(vector, SingleEnvs):
            resume_point = ResumePoint(vector, group, acting, {"actions": actions})
    return SerialParts(
        worker=worker,
        inference=inference,
        buffers=buffers,
        loader=BatchLoader(buffers, device),
        slots=SlotTable(buffers.num_slots),
        rollouts_per_dataset=rollouts_per_dataset,
        learner=Learner(cfg, policy),
        policy=policy,
        threads=thread_budget(
            policy.actor_critic, cfg.torch_threads, acting_rows=vector.num_agents, minibatch_rows=cfg.batch_size
        ),
        generators={"actions": actions},
        resume_point=resume_point,
    )


def _check_same_device(envs: TensorEnvs, device: torch.device) -> None:
    if (envs.device.type, envs.device.index or 0) != (device.type, device.index or 0):
        raise UsageError(
            f"env {envs.name!r} has its tensors on {envs.device} and the policy is on {device}; make the env where "
            f"sf_core.model.device.choose_device(cfg.device) says, or add --device={envs.device}."
        )


def description_of(cfg: Config, plan: RunPlan, policy: Policy, num_agents: int) -> dict[str, Any]:
    """What every checkpoint says of its run, so that `Policy.load` needs nothing but the checkpoint."""
    model = plan.model.to_json()
    return {
        "env": cfg.env,
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
        "num_agents": num_agents,
        "components": {part: f"{ref['plugin']}/{ref['name']}" for part, ref in model.items()},
        "plugins": {name: dict(record) for name, record in plan.plugins.items()},
        "config": dict(cfg),
        "config_origins": cfg.origins,
    }
