"""What one step means: the record every kind of environment is converted into, and the interface that gives it.

An adapter (`envs/adapters/`) knows how its kind of environment resets; whoever reads a `TimeStep` does not. Not known
here: policies, rollouts, slots.

The three ways in which an episode goes over into the next one, in terms of this record (row `t` ends the episode):

* the env resets in the next step (NEXT_STEP): `observation` of row `t` is the final one; row `t + 1` only resets, so
  its `valid` is False and its `episode_start` True;
* the env resets in the same step (SAME_STEP, DISABLED, single envs): `observation` of row `t` is already the first of
  the next episode (`episode_start`), and where the step truncated, `final_observation` has the one it left behind;
* it does so and discards the final observation (most multi-agent lists): as above, but `approximate` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Dict, Space

LIFE_LOST = "life_lost"
IS_ACTIVE = "is_active"
FINAL_OBSERVATION = "final_observation"
EPISODE_EXTRA_STATS = "episode_extra_stats"
TRUE_OBJECTIVE = "true_objective"
RECORDED_EPISODE = "episode"  # what Gymnasium's RecordEpisodeStatistics adds: return "r", length "l"


@dataclass(frozen=True, slots=True)
class TimeStep:
    """One step of N agent rows. The arrays may be overwritten by the next step: copy what must last.

    Attributes:
        observation: key -> `[N, *space]`, what to act on next.
        reward: `[N]` float32, as the env gave it (0 on a row that only resets).
        terminated: `[N]` bool, the task ended, or a life was lost (`infos["life_lost"]`): the advantage is cut here.
        truncated: `[N]` bool, a limit cut the episode; never together with `terminated`, which wins.
        valid: `[N]` bool, False for a row that only reset and whose action was ignored.
        active: `[N]` bool, False for an agent that sat this step out.
        episode_start: `[N]` bool, `observation` is the first of an episode, or of what follows a lost life.
        episode_end: `[N]` bool, the *reported* episode ended with this step (a lost life does not end it).
        final_observation: key -> `[N, *space]`, meaningful in the rows of `final_rows`; None if there are none.
        final_rows: `[N]` bool, the step truncated and reset, and `final_observation` is known.
        approximate: `[N]` bool, the step truncated and reset, and no final observation is known.
        extra_stats: row -> `infos["episode_extra_stats"]`, `"true_objective"` and what Gymnasium's
            `RecordEpisodeStatistics` recorded of the episode that ended there.
    """

    observation: dict[str, np.ndarray]
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    active: np.ndarray
    episode_start: np.ndarray
    episode_end: np.ndarray
    final_observation: dict[str, np.ndarray] | None
    final_rows: np.ndarray
    approximate: np.ndarray
    extra_stats: dict[int, dict[str, float]]


class AgentVector(Protocol):
    """Environments stepped together, one row for each agent; row = env x agents_per_env + agent."""

    name: str
    num_agents: int
    num_envs: int
    agents_per_env: int
    observation_space: Dict  # flat leaves of one agent
    action_space: Space[Any]  # of one agent, as the env has it
    active: np.ndarray  # [N] bool: who acts in the next step; the others sit it out
    resetting: np.ndarray  # [N] bool: whose next step only resets, whatever the action
    render_mode: str | None
    render_fps: float

    def reset(self, seed: int | Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """Start new episodes everywhere.

        Args:
            seed: one seed for all (each env gets its own, derived from it and its number in the run), one for each
                env, or None: the seed the vector was built with, which is given once; resets after the first go on
                with the envs' own random state.

        Returns:
            key -> `[N, *space]`.
        """

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """One step of every env.

        Args:
            actions: part -> `[N, *part]`, as stored (not yet clipped to bounds).
        """

    def inform(self, training_info: Mapping[str, Any]) -> None:
        """What envs with `TrainingInfoInterface` are told when their next episode ends."""

    def play_randomly(self, num_steps: Sequence[int], seed: int | None) -> dict[str, np.ndarray] | None:
        """Let env `i` take `num_steps[i]` random actions, so that episodes of one length do not end together.

        Args:
            num_steps: one number for each env.
            seed: of the actions; each env has its own, derived from it and its number in the run. None: any.

        Returns:
            What to act on next, key -> `[N, *space]`; None if nothing was done: native vectors cannot be stepped one by
            one, and an env that masks actions may not take any.
        """

    def render(self) -> np.ndarray | None:
        """A picture of the first env, if its render mode gives one."""

    def close(self) -> None:
        """Close every env; a second call does nothing."""
