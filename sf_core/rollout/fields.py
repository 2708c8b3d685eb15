"""The table of what one rollout consists of: every field, its rows, its shape, its dtype and its one writer.

In: the spaces of one agent, the size of the policy's recurrent state, the rollout's length. Out: a tuple of `Field`,
from which buffers are allocated, in this process or in shared memory. Not known here: who allocates, which slots
exist, what anybody does with the numbers.

`T` is the rollout length, `P` the number of action parameters, `H` the recurrent size. Time runs so: `observation[t]`
is acted on with `action[t]`, which earns `reward[t]` and may end the episode (`terminated[t]`, `truncated[t]`); row `T`
of `observation` is what the last value estimate bootstraps from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Space

from sf_core.envs.spaces import ActionPart

Writer = Literal["rollout worker", "inference"]


@dataclass(frozen=True, slots=True)
class Field:
    """One array of the table.

    Attributes:
        name: the word every part of the project uses for it.
        key: the observation leaf or the action part, for the fields that have one array for each; else empty.
        rows: rows of one slot; for a field beside the slots, 1 (there is one row per agent).
        shape: shape of one row.
        dtype: dtype of the stored array.
        writer: the only part that writes it.
        when: when the writer does so.
        per_agent: the field lies beside the slots, one row for each agent.
    """

    name: str
    key: str
    rows: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    writer: Writer
    when: str
    per_agent: bool = False

    @property
    def path(self) -> str:
        """Name and key as one word: `observation/obs`, `reward`."""
        return f"{self.name}/{self.key}" if self.key else self.name


def fields_of(
    observation_space: Mapping[str, Space[Any]],
    action_parts: Sequence[ActionPart],
    num_action_parameters: int,
    rnn_size: int,
    rollout: int,
    recurrence: int,
) -> tuple[Field, ...]:
    """Every field of the table for these spaces.

    Args:
        observation_space: flat leaves of one agent's observation (`envs.spaces.observation_spaces`).
        action_parts: flat parts of one agent's action (`envs.spaces.action_parts`).
        num_action_parameters: P, the length of one row of action logits.
        rnn_size: H, the length of one agent's recurrent state; 0 for a policy without one.
        rollout: T, steps in one slot.
        recurrence: steps in one segment; divides the rollout.

    Raises:
        ValueError: the rollout is not a positive multiple of the recurrence.
    """
    if rollout < 1 or recurrence < 1 or rollout % recurrence:
        raise ValueError(f"rollout={rollout} is not a positive multiple of recurrence={recurrence}")

    table: list[Field] = []

    def add(
        name: str,
        rows: int,
        shape: tuple[int, ...],
        dtype: Any,
        writer: Writer,
        when: str,
        *,
        key: str = "",
        per_agent: bool = False,
    ) -> None:
        table.append(Field(name, key, rows, shape, np.dtype(dtype), writer, when, per_agent))

    before_asking = "before asking for action t; row T is the bootstrap"
    with_reply, after_step = "with the reply", "after the step"
    for key, space in observation_space.items():
        add("observation", rollout + 1, _shape(space), space.dtype, "rollout worker", before_asking, key=key)
    add("episode_start", rollout + 1, (), bool, "rollout worker", before_asking)
    # row k enters step k * recurrence, the last row enters step T
    add("rnn_state", rollout // recurrence + 1, (rnn_size,), np.float32, "inference", "on entering a segment")
    for part in action_parts:
        add("action", rollout, part.shape, part.dtype, "inference", with_reply, key=part.name)
    add("action_logits", rollout, (num_action_parameters,), np.float32, "inference", "with the reply, before masking")
    add("behaviour_log_prob", rollout, (), np.float32, "inference", "with the reply, after masking")
    add("behaviour_value", rollout, (), np.float32, "inference", with_reply)
    add("policy_version", rollout, (), np.int64, "inference", with_reply)
    add("policy_id", rollout, (), np.int32, "rollout worker", "before asking for action t; -1 = inactive agent")
    add("reward", rollout, (), np.float32, "rollout worker", "after the step, scaled and clipped")
    add("terminated", rollout, (), bool, "rollout worker", after_step)
    add("truncated", rollout, (), bool, "rollout worker", after_step)
    add("valid", rollout, (), bool, "rollout worker", "after the step; False for a row that only resets")
    add("final_value", rollout, (), np.float32, "inference", "where the step truncated and reset at once")
    for key, space in observation_space.items():
        when = "when an env that resets in the same step truncates"
        add("final_observation", 1, _shape(space), space.dtype, "rollout worker", when, key=key, per_agent=True)
    return tuple(table)


def _shape(space: Space[Any]) -> tuple[int, ...]:
    assert space.shape is not None  # a leaf always has one
    return tuple(int(size) for size in space.shape)
