"""The table of `fields.py` as preallocated arrays, one row of slots for each field.

In: what the table is made from, how many slots and agents there are, and who hands out memory. Out: numpy arrays, named
as in the table, that stay where they are for the whole run. Not known here: which slot is whose (`slots.py`), what the
numbers mean.

Memory is asked for by name, so that the same class lies over plain numpy in one process and over shared memory in
several: the process that allocates and the ones that attach differ only in the `allocate` they pass. The same table
over tensors is in `tensor_buffers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from gymnasium.spaces import Space

from sf_core.envs.spaces import ActionPart
from sf_core.rollout.fields import fields_of


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Array = TypeVar("Array", bound=_Sized)
Allocate = Callable[[str, tuple[int, ...], np.dtype[Any]], Array]


def allocate_numpy(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Plain zeroed memory of this process."""
    return np.zeros(shape, dtype)


class FieldArrays(Generic[Array]):
    """Every field of every slot, as whatever kind of array `allocate` hands out.

    `S` slots, `T` steps, `P` action parameters, `H` recurrent size, `N` agents.

    Attributes:
        fields: the table these arrays were made from.
        num_slots: S.
        num_agents: N, rows of the fields beside the slots.
        rollout: T.
        recurrence: steps in one segment.
    """

    observation: dict[str, Array]  # key -> [S, T + 1, *space]
    episode_start: Array  # [S, T + 1] bool
    rnn_state: Array  # [S, T // recurrence + 1, H] float32
    action: dict[str, Array]  # part -> [S, T, *part]
    action_logits: Array  # [S, T, P] float32
    behaviour_log_prob: Array  # [S, T] float32
    behaviour_value: Array  # [S, T] float32
    policy_version: Array  # [S, T] int64
    policy_id: Array  # [S, T] int32
    reward: Array  # [S, T] float32
    terminated: Array  # [S, T] bool
    truncated: Array  # [S, T] bool
    valid: Array  # [S, T] bool
    final_value: Array  # [S, T] float32
    final_observation: dict[str, Array]  # key -> [N, *space]

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
        allocate: Allocate[Array],
    ) -> None:
        self.fields = fields_of(observation_space, action_parts, num_action_parameters, rnn_size, rollout, recurrence)
        self.num_slots = num_slots
        self.num_agents = num_agents
        self.rollout = rollout
        self.recurrence = recurrence
        self._arrays: dict[str, Array] = {}
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

    def arrays(self) -> dict[str, Array]:
        """Every array by the path of its field (`reward`, `observation/obs`)."""
        return dict(self._arrays)

    @property
    def nbytes(self) -> int:
        """Memory of all fields, in bytes."""
        return sum(array.nbytes for array in self._arrays.values())

    def _keyed(self, name: str) -> dict[str, Array]:
        return {field.key: self._arrays[field.path] for field in self.fields if field.name == name}


class RolloutBuffers(FieldArrays[np.ndarray]):
    """The table in numpy, in memory of this process unless `allocate` says otherwise."""

    def __init__(
        self,
        observation_space: Mapping[str, Space[Any]],
        action_parts: Sequence[ActionPart],
        *,
        allocate: Allocate[np.ndarray] = allocate_numpy,
        **sizes: int,
    ) -> None:
        super().__init__(observation_space, action_parts, allocate=allocate, **sizes)
