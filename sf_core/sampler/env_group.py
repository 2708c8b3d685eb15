"""A group of agents stepped together, and the rows of the rollout it writes.

In: a vector of agents, the buffers, the slots that one rollout goes to. Out: `observation`, `episode_start`, `reward`,
`terminated`, `truncated`, `valid`, `policy_id` in those slots; `final_observation` beside them; finished episodes. Not
known here: the policy, who owns a slot, whether this process is the only one.

Every write is one assignment for the whole group: an env's arrays are copied before it can use them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sf_core.envs.mask_check import MaskCheck
from sf_core.envs.timestep import AgentVector, TimeStep
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.slots import as_index
from sf_core.sampler.episode_stats import EpisodeStats
from sf_core.sampler.messages import FinishedEpisode, InferenceRequest

NO_ROWS = np.zeros(0, np.int64)
INACTIVE = -1  # policy_id of a step an agent sat out
_NEVER, _BEFORE = -1, -2  # in place of the row of an agent's last action: it took none; it is in the rollout before


class EnvGroup:
    """`num_agents` agents, from agent `first_agent` on, that fill as many slots at a time.

    Args:
        vector: the envs.
        buffers: where rollouts are written.
        first_agent: index of the group's first agent among all agents.
        reward_scale: factor on every reward, applied first.
        reward_clip: bound on the absolute value of a scaled reward.
        policy_id: the policy that plays all agents of the group.
        random_steps: taken by each env after a reset, before the policy acts; nothing means none.

    Attributes:
        late_rewards: rewards so far that no action could be credited with, see `_credit`.
    """

    def __init__(
        self,
        vector: AgentVector,
        buffers: RolloutBuffers,
        *,
        first_agent: int = 0,
        reward_scale: float = 1.0,
        reward_clip: float = np.inf,
        policy_id: int = 0,
        random_steps: Sequence[int] = (),
    ) -> None:
        self.vector = vector
        self.num_agents = vector.num_agents
        self._buffers = buffers
        self._agents = np.arange(first_agent, first_agent + vector.num_agents)
        self._first_agent = first_agent
        self._reward_scale = np.float32(reward_scale)
        self._reward_clip = np.float32(reward_clip)
        self._policy_id = policy_id
        self._random_steps = random_steps
        self._stats = EpisodeStats(vector.num_agents, first_agent, policy_id)
        self._finished: list[FinishedEpisode] = []
        self._observation: dict[str, np.ndarray] = {}
        self._episode_start = np.ones(vector.num_agents, bool)
        self._masks = MaskCheck(vector.name, vector.observation_space.spaces, vector.action_space)
        self.late_rewards = 0
        self._acted = np.full(vector.num_agents, _NEVER)  # row of each agent's last action in its episode
        # truncations at the last step, asked for with the next request, which may belong to the next row only
        self._final_rows = NO_ROWS
        self._approximate_rows = NO_ROWS
        self._slots = NO_ROWS
        self._index: slice | np.ndarray = NO_ROWS

    def reset(self, seed: int | Sequence[int] | None = None) -> None:
        """Start new episodes everywhere (see `AgentVector.reset` for what `seed` may be)."""
        self._observation = self.vector.reset(seed)
        self._episode_start = np.ones(self.num_agents, bool)  # also midway: the policy remembers nothing yet
        self._final_rows = self._approximate_rows = NO_ROWS
        self._stats.reset()
        self._acted[:] = _NEVER
        if any(self._random_steps):
            later = self.vector.play_randomly(self._random_steps, seed if isinstance(seed, int) else None)
            if later is not None:
                self._observation = later
                self._stats.begin_midway(np.repeat(np.asarray(self._random_steps) > 0, self.vector.agents_per_env))

    def state(self) -> dict[str, np.ndarray]:
        """Between two rollouts: what is known of the episodes in progress, `[N]` each; the envs are not part of it."""
        return {"episode_start": self._episode_start.copy(), **self._stats.state()}

    def restore(self, observation: dict[str, np.ndarray], state: Mapping[str, np.ndarray]) -> None:
        """Go on with what `state` returned and envs that are where they were; `observation` is to be acted on next."""
        self._observation = observation
        self._episode_start = np.array(state["episode_start"])
        self._final_rows = self._approximate_rows = NO_ROWS
        self._stats.restore(state)

    def begin_rollout(self, slots: np.ndarray, env_steps: int = 0) -> None:
        """From here on rows are written to `slots` (`[N]`, one for each agent); writes row 0.

        `env_steps` is how far training is, for envs that want to know.
        """
        self.vector.inform({"policy_id": self._policy_id, "approx_total_training_steps": env_steps})
        self._acted[self._acted != _NEVER] = _BEFORE
        self._slots = np.asarray(slots, np.int64)
        self._index = as_index(self._slots)
        self._final_rows = self._approximate_rows = NO_ROWS  # answered at row T of the rollout before
        self._write_observation(0)

    def step(self, t: int) -> None:
        """Act as row `t` of `action` says; writes row `t`, and row `t + 1` of what is acted on next."""
        buffers, index = self._buffers, self._index
        if leaves := self._masks.leaves:
            acting = self.vector.active & ~self.vector.resetting
            self._masks.check({leaf: buffers.observation[leaf][index, t] for leaf in leaves}, acting)
        # a copy: an env that keeps or changes its action must not reach into the rollout
        step = self.vector.step({part: np.array(rows[index, t]) for part, rows in buffers.action.items()})
        reward = np.clip(step.reward * self._reward_scale, -self._reward_clip, self._reward_clip)
        buffers.reward[index, t] = reward  # [N]
        buffers.terminated[index, t] = step.terminated
        buffers.truncated[index, t] = step.truncated
        buffers.valid[index, t] = step.valid & step.active
        if self.vector.agents_per_env > 1:
            self._credit(t, step, reward)
        self._observation = step.observation
        self._episode_start = step.episode_start
        self._write_observation(t + 1)
        self._final_rows = self._approximate_rows = NO_ROWS
        if step.final_observation is not None:
            self._final_rows = np.flatnonzero(step.final_rows)
            for key, array in step.final_observation.items():
                buffers.final_observation[key][self._first_agent + self._final_rows] = array[self._final_rows]
        if step.approximate.any():
            self._approximate_rows = np.flatnonzero(step.approximate)
        self._finished += self._stats.update(step)

    def request(self, group_index: int, t: int) -> InferenceRequest:
        """What to ask inference now that row `t` of what is acted on is written."""
        return InferenceRequest(group_index, self._slots, self._agents, t, self._final_rows, self._approximate_rows)

    def finished_episodes(self) -> list[FinishedEpisode]:
        """Episodes that ended since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Close the envs."""
        self.vector.close()

    def _credit(self, t: int, step: TimeStep, reward: np.ndarray) -> None:
        """A reward that comes while an agent sits out belongs to its last action, or the loser of a game never knew.

        Where that action is in the rollout before, the reward is left out and counted: that rollout is the learner's
        already, trained on perhaps, and no row of this one is to blame for it. What the learner makes of the action is
        V of row T then, which has learned from the same rewards where they came within a rollout.
        """
        late = ~step.active & (reward != 0)
        if late.any():
            known = late & (self._acted >= 0)
            self._buffers.reward[self._slots[known], self._acted[known]] += reward[known]
            self.late_rewards += int((late & (self._acted == _BEFORE)).sum())
        self._acted[step.active] = t
        self._acted[step.episode_end] = _NEVER

    def _write_observation(self, t: int) -> None:
        for key, array in self._observation.items():
            self._buffers.observation[key][self._index, t] = array  # [N, *space]
        self._buffers.episode_start[self._index, t] = self._episode_start
        if t < self._buffers.rollout:
            self._buffers.policy_id[self._index, t] = np.where(self.vector.active, self._policy_id, INACTIVE)
