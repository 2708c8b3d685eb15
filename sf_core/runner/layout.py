"""What lies in shared memory, and which group of envs belongs to whom.

In: sizes that are known once the env was probed and the model was built. Out: the same arrays in every process. Knows
no process and no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Space

from sf_core.cfg.config import Config
from sf_core.envs.env_info import EnvInfo
from sf_core.envs.spaces import action_parts, num_action_parameters
from sf_core.model.weight_table import Weight, WeightArrays
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.shared_memory import Arena, SharedFile
from sf_core.runner.processes.vitals import Vitals
from sf_core.sampler.mailbox import Mailbox


@dataclass(frozen=True)
class GroupPlace:
    """Envs that are stepped together: whose they are, and which agents."""

    group: int
    worker: int
    inference: int
    first_env: int
    num_envs: int
    first_vector_index: int
    first_agent: int
    num_agents: int

    @property
    def agents(self) -> slice:
        """Rows of the group among all agents."""
        return slice(self.first_agent, self.first_agent + self.num_agents)


@dataclass(frozen=True)
class SharedParts:
    """The arrays, by what they are for."""

    vitals: Vitals
    mailbox: Mailbox
    weights: WeightArrays
    buffers: RolloutBuffers


@dataclass(frozen=True)
class SharedLayout:
    """Everything that decides the arrays and their order."""

    observation_space: Dict
    action_space: Space[Any]
    num_slots: int
    rollout: int
    recurrence: int
    rnn_size: int
    weights: tuple[Weight, ...]
    groups: tuple[GroupPlace, ...]
    num_processes: int

    @property
    def num_agents(self) -> int:
        """Agents of all groups."""
        return sum(place.num_agents for place in self.groups)

    def build(self, arena: Arena) -> SharedParts:
        """The arrays, carved out in a fixed order."""
        return SharedParts(
            vitals=Vitals(arena.allocate, self.num_processes),
            mailbox=Mailbox(arena.allocate, self.num_agents),
            weights=WeightArrays(self.weights, arena.allocate),
            buffers=RolloutBuffers(
                self.observation_space,
                action_parts(self.action_space),
                num_action_parameters=num_action_parameters(self.action_space),
                rnn_size=self.rnn_size,
                num_slots=self.num_slots,
                num_agents=self.num_agents,
                rollout=self.rollout,
                recurrence=self.recurrence,
                allocate=arena.allocate,
            ),
        )

    def num_bytes(self) -> int:
        """Memory of all arrays together."""
        arena = Arena()
        self.build(arena)
        return arena.num_bytes

    def attach(self, file: SharedFile) -> SharedParts:
        """The arrays as they lie in `file`, which is large enough by now."""
        return self.build(Arena(file.map(self.num_bytes())))


def place_groups(cfg: Config, agents_per_env: int) -> tuple[GroupPlace, ...]:
    """The groups of all workers; envs and agents are numbered through, worker after worker, as in a serial run.

    A worker's envs are split into `--worker_num_splits` groups, or into fewer where they do not divide evenly.
    """
    envs = cfg.num_envs_per_worker
    splits = next(number for number in range(min(cfg.worker_num_splits, envs), 0, -1) if envs % number == 0)
    size = envs // splits
    return tuple(
        GroupPlace(
            group=worker * splits + split,
            worker=worker,
            inference=(worker * splits + split) % cfg.policy_workers_per_policy,
            first_env=worker * envs + split * size,
            num_envs=size,
            first_vector_index=split * size,
            first_agent=(worker * envs + split * size) * agents_per_env,
            num_agents=size * agents_per_env,
        )
        for worker in range(cfg.num_workers)
        for split in range(splits)
    )


def make_layout(
    cfg: Config, info: EnvInfo, groups: tuple[GroupPlace, ...], rnn_size: int, weights: tuple[Weight, ...]
) -> SharedLayout:
    """The layout of a run.

    There are slots for the rollouts in progress and for as many datasets as may be waiting or in training
    (`--num_batches_to_accumulate`). With one, a dataset is filled while the one before is trained on, and no further.
    """
    rollouts_per_dataset = cfg.batch_size * cfg.num_batches_per_epoch // cfg.rollout
    num_agents = sum(place.num_agents for place in groups)
    return SharedLayout(
        observation_space=info.observation_space,
        action_space=info.action_space,
        num_slots=num_agents + cfg.num_batches_to_accumulate * rollouts_per_dataset,
        rollout=cfg.rollout,
        recurrence=cfg.recurrence,
        rnn_size=rnn_size,
        weights=weights,
        groups=groups,
        num_processes=1 + cfg.policy_workers_per_policy + cfg.num_workers,
    )


def derived_seed(seed: int, *numbers: int) -> int:
    """A seed of its own for each combination of numbers."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1)[0])
