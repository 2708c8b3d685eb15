"""A group of tensor envs stepped together, and the rows of the rollout it writes.

In: a tensor env, `TensorBuffers`, the slots that one rollout goes to. Out: the rollout worker's fields of these slots;
requests with what inference must know of truncated episodes; finished episodes. Not known here: the policy.

The counterpart of `env_group.py` and `episode_stats.py`. Nothing in a step waits for the device: what the host wants to
know of episodes is noted there and read once per rollout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sf_core.envs.adapters.tensor import TensorEnvs, TensorStep
from sf_core.envs.mask_check import MaskCheck
from sf_core.rollout.slots import as_index
from sf_core.rollout.tensor_buffers import TensorBuffers
from sf_core.sampler.messages import FinishedEpisode

_POLICY = 0  # plays all envs


@dataclass(frozen=True, slots=True, eq=False)
class TensorRequest:
    """Row `t` of these slots is written: answer it. See `InferenceRequest` for `t == T`.

    Attributes:
        index: slots of the group's rows, as they index the buffers.
        t: row of `observation` to act on.
        final_observation: key -> `[N, *space]`, what truncated episodes left behind; None if there is none.
        final_rows: `[N]` bool, rows whose step `t - 1` truncated and reset at once, and that are meant by it.
        approximate: `[N]` bool, the same, but no final observation is known; None if there is none.
    """

    index: slice | Tensor
    t: int
    final_observation: dict[str, Tensor] | None
    final_rows: Tensor | None
    approximate: Tensor | None


class TensorGroup:
    """All envs of one `TensorEnvs`, in the part of a `Group`.

    Args:
        envs: the envs.
        buffers: where rollouts are written; on the device of the envs.
        reward_scale: factor on every reward, applied first.
        reward_clip: bound on the absolute value of a scaled reward.
    """

    def __init__(
        self, envs: TensorEnvs, buffers: TensorBuffers, *, reward_scale: float = 1.0, reward_clip: float = np.inf
    ) -> None:
        self.envs = envs
        self.num_agents = envs.num_agents
        self.late_rewards = 0  # there is one agent in each env, and it never sits out
        self._buffers = buffers
        self._reward_scale = reward_scale
        self._reward_clip = reward_clip
        self._stats = TensorEpisodeStats(envs.num_agents, envs.device)
        self._masks = MaskCheck(envs.name, envs.observation_space.spaces, envs.action_space)
        self._stuck: dict[str, Tensor] = {}  # leaf -> [N] bool, rows that had to act without a legal choice
        self._observation: dict[str, Tensor] = {}
        self._episode_start = torch.ones(envs.num_agents, dtype=torch.bool, device=envs.device)
        self._last: TensorStep | None = None  # the step whose final observations are still to be asked for
        self._index: slice | Tensor = slice(0, 0)

    def reset(self, seed: int | Sequence[int] | None = None) -> None:
        """Start new episodes everywhere."""
        self._observation = self.envs.reset(seed)
        self._episode_start = torch.ones_like(self._episode_start)
        self._last = None
        self._stats.reset()

    def begin_rollout(self, slots: np.ndarray, env_steps: int = 0) -> None:
        """From here on rows are written to `slots` (`[N]`, one for each env); writes row 0.

        `env_steps` is how far training is, for envs that want to know.
        """
        self.envs.inform({"policy_id": _POLICY, "approx_total_training_steps": env_steps})
        index = as_index(np.asarray(slots, np.int64))
        self._index = index if isinstance(index, slice) else torch.as_tensor(index, device=self.envs.device)
        self._last = None  # answered at row T of the rollout before
        self._write_observation(0)

    def step(self, t: int) -> None:
        """Act as row `t` of `action` says; writes row `t`, and row `t + 1` of what is acted on next."""
        buffers, index = self._buffers, self._index
        step = self.envs.step({part: rows[index, t] for part, rows in buffers.action.items()})
        buffers.reward[index, t] = (step.reward * self._reward_scale).clamp(-self._reward_clip, self._reward_clip)
        buffers.terminated[index, t] = step.terminated
        buffers.truncated[index, t] = step.truncated
        buffers.valid[index, t] = step.valid
        self._note_masks(t, step.valid)
        self._observation = step.observation
        self._episode_start = step.episode_start
        self._write_observation(t + 1)
        self._stats.update(step)
        self._last = step

    def request(self, group_index: int, t: int) -> TensorRequest:
        """What to ask inference now that row `t` of what is acted on is written."""
        if self._last is None:
            return TensorRequest(self._index, t, None, None, None)
        last = self._last
        return TensorRequest(self._index, t, last.final_observation, last.final_rows, last.approximate)

    def finished_episodes(self) -> list[FinishedEpisode]:
        """Episodes that ended since the last call; waits for the device.

        Raises:
            UsageError: a mask left no choice meanwhile.
        """
        for leaf, stuck in self._stuck.items():
            if bool(stuck.any()):
                raise self._masks.error(leaf, int(stuck.nonzero()[0]))
        return self._stats.finished()

    def close(self) -> None:
        """Close the envs."""
        self.envs.close()

    def _note_masks(self, t: int, acting: Tensor) -> None:
        for leaf, starts in self._masks.starts.items():
            mask = self._buffers.observation[leaf][self._index, t].flatten(1) != 0  # [N, choices]
            pieces = mask.tensor_split(starts[1:].tolist(), dim=1)  # one for each categorical
            stuck = acting & ~torch.stack([piece.any(1) for piece in pieces]).all(0)
            self._stuck[leaf] = self._stuck[leaf] | stuck if leaf in self._stuck else stuck

    def _write_observation(self, t: int) -> None:
        for key, x in self._observation.items():
            self._buffers.observation[key][self._index, t] = x  # [N, *space]
        self._buffers.episode_start[self._index, t] = self._episode_start
        if t < self._buffers.rollout:
            self._buffers.policy_id[self._index, t] = _POLICY


class TensorEpisodeStats:
    """`EpisodeStats` on a device: one row is noted per step, and read when somebody asks."""

    def __init__(self, num_agents: int, device: torch.device) -> None:
        wide = torch.float32 if device.type == "mps" else torch.float64
        self._return = torch.zeros(num_agents, dtype=wide, device=device)
        self._length = torch.zeros(num_agents, dtype=torch.int64, device=device)
        self._noted: list[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]] = []

    def update(self, step: TensorStep) -> None:
        """Count one step. Rows that only reset count for nothing; a lost life does not end an episode."""
        self._return += torch.where(step.valid, step.reward, torch.zeros_like(step.reward))
        self._length += step.valid
        # copies of what the env or the next step may overwrite
        extra = {key: value.clone() for key, value in step.extra_stats.items()}
        self._noted.append((step.episode_end, self._return.clone(), self._length.clone(), extra))
        self._return.masked_fill_(step.episode_end, 0)
        self._length.masked_fill_(step.episode_end, 0)

    def finished(self) -> list[FinishedEpisode]:
        """The episodes that ended in the steps noted so far, in their order; those without a step are left out."""
        noted, self._noted = self._noted, []
        if not noted:
            return []
        ended = torch.stack([end for end, *_ in noted])
        returns = torch.stack([total for _, total, _, _ in noted])[ended].tolist()
        lengths = torch.stack([length for _, _, length, _ in noted])[ended].tolist()
        steps, rows = (numbers.tolist() for numbers in ended.nonzero().unbind(1))
        finished = []
        extra_of_step: dict[int, dict[str, np.ndarray]] = {}
        for step, row, total, length in zip(steps, rows, returns, lengths, strict=True):
            if length == 0:
                continue
            if step not in extra_of_step:
                extra_of_step[step] = {key: value.cpu().numpy() for key, value in noted[step][3].items()}
            said = {key: float(values[row]) for key, values in extra_of_step[step].items()}
            extra = {key: value for key, value in said.items() if not math.isnan(value)}
            finished.append(
                FinishedEpisode(agent=row, policy_id=_POLICY, reward=total, length=length, extra_stats=extra)
            )
        return finished

    def reset(self) -> None:
        """Forget the episodes in progress (their envs were reset from outside)."""
        self._return.zero_()
        self._length.zero_()
