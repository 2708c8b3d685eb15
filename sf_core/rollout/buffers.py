"""The table of `fields.py` as preallocated arrays, one row of slots for each field.

In: what the table is made from, how many slots and agents there are, and who hands out memory. Out: numpy arrays, named
as in the table, that stay where they are for the whole run. Not known here: which slot is whose (`slots.py`), what the
numbers mean.

Memory is asked for by name, so that the same class lies over plain numpy in one process and over shared memory in
several: the process that allocates and the ones that attach differ only in the `allocate` they pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from sf_core.envs.spaces import ActionPart
from sf_core.rollout.fields import fields_of

Allocate = Callable[[str, tuple[int, ...], np.dtype[Any]], np.ndarray]


def allocate_numpy(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Plain zeroed memory of this process."""
    return np.zeros(shape, dtype)


class RolloutBuffers:
    """Every field of every slot.

    `S` slots, `T` steps, `P` action parameters, `H` recurrent size, `N` agents.

    Attributes:
        fields: the table these arrays were made from.
        num_slots: S.
        num_agents: N, rows of the fields beside the slots.
        rollout: T.
        recurrence: steps in one segment.
    """

    observation: dict[str, np.ndarray]  # key -> [S, T + 1, *space]
    episode_start: np.ndarray  # [S, T + 1] bool
    rnn_state: np.ndarray  # [S, T // recurrence + 1, H] float32
    action: dict[str, np.ndarray]  # part -> [S, T, *part]
    action_logits: np.ndarray  # [S, T, P] float32
    behaviour_log_prob: np.ndarray  # [S, T] float32
    behaviour_value: np.ndarray  # [S, T] float32
    policy_version: np.ndarray  # [S, T] int64
    policy_id: np.ndarray  # [S, T] int32
    reward: np.ndarray  # [S, T] float32
    terminated: np.ndarray  # [S, T] bool
    truncated: np.ndarray  # [S, T] bool
    valid: np.ndarray  # [S, T] bool
    final_value: np.ndarray  # [S, T] float32
    final_observation: dict[str, np.ndarray]  # key -> [N, *space]

    def __init__(
        self,
        observation_space: Mapping[str, Space[Any]],
        action_parts: Sequence[ActionPart],
        *,
        num_action_parameters: int,
        rnn_size: int,
        num_slots: int,
        num_agents: int,
        rollout: int,
        recurrence: int,
        allocate: Allocate = allocate_numpy,
    ) -> None:
        self.fields = fields_of(observation_space, action_parts, num_action_parameters, rnn_size, rollout, recurrence)
        self.num_slots = num_slots
        self.num_agents = num_agents
        self.rollout = rollout
        self.recurrence = recurrence
        self._arrays: dict[str, np.ndarray] = {}
        for field in self.fields:
            rows = (num_agents,) if field.per_agent else (num_slots, field.rows)
            self._arrays[field.path] = allocate(field.path, (*rows, *field.shape), field.dtype)
        self.observation = self._keyed("observation")
        self.episode_start = self._arrays["episode_start"]
        self.rnn_state = self._arrays["rnn_state"]
        self.action = self._keyed("action")
        self.action_logits = self._arrays["action_logits"]
        self.behaviour_log_prob = self._arrays["behaviour_log_prob"]
        self.behaviour_value = self._arrays["behaviour_value"]
        self.policy_version = self._arrays["policy_version"]
        self.policy_id = self._arrays["policy_id"]
        self.reward = self._arrays["reward"]
        self.terminated = self._arrays["terminated"]
        self.truncated = self._arrays["truncated"]
        self.valid = self._arrays["valid"]
        self.final_value = self._arrays["final_value"]
        self.final_observation = self._keyed("final_observation")

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by the path of its field (`reward`, `observation/obs`)."""
        return dict(self._arrays)

    @property
    def nbytes(self) -> int:
        """Memory of all fields, in bytes."""
        return sum(array.nbytes for array in self._arrays.values())

    def _keyed(self, name: str) -> dict[str, np.ndarray]:
        return {field.key: self._arrays[field.path] for field in self.fields if field.name == name}
