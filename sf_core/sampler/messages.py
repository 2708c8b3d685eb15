"""What the parts of the sampler say to each other: small records of numbers, never of observations.

Whatever is large lies in the rollout buffers; a message names the rows. Not known here: how messages travel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class InferenceRequest:
    """Row `t` of these slots is written: answer it.

    Attributes:
        group_index: which env group of its worker asks.
        slots: `[N]` slot of each agent row of the group.
        agents: `[N]` index of each agent among all agents, the row of its running recurrent state.
        t: row of `observation` to act on. `t == T` asks for no action: the rollout is full, and what enters row T
            (recurrent state, final values of row T - 1) completes it.
        final_rows: positions within the group whose step `t - 1` truncated and reset at once; their
            `final_observation` is in the buffers, and `final_value[t - 1]` is wanted.
        approximate_rows: the same, but no final observation is known: the value of the last real one stands in.
    """

    group_index: int
    slots: np.ndarray
    agents: np.ndarray
    t: int
    final_rows: np.ndarray
    approximate_rows: np.ndarray


@dataclass(frozen=True, slots=True)
class FinishedEpisode:
    """One episode that ended.

    Attributes:
        agent: index among all agents.
        policy_id: which policy played.
        reward: sum of what `step` returned, before scaling and clipping.
        length: steps the agent took (times the frame skip: env steps).
        extra_stats: `infos["episode_extra_stats"]` and `"true_objective"` of its last step.
    """

    agent: int
    policy_id: int
    reward: float
    length: int
    extra_stats: dict[str, float]
