"""Play whole episodes with a fixed policy and count what they returned.

In: a policy, an agent vector, a number of episodes. Out: an `Evaluation`. Rewards are the env's own, un-clipped;
normalisers are frozen. Knows nothing of checkpoints, folders or printing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from sf_core.envs.mask_check import MaskCheck
from sf_core.envs.timestep import AgentVector
from sf_core.model.policy import Policy
from sf_core.sampler.episode_stats import EpisodeStats
from sf_core.sampler.messages import FinishedEpisode


@dataclass(frozen=True)
class Evaluation:
    """Finished episodes and their statistics. Lengths are in agent steps."""

    episodes: list[FinishedEpisode] = field(default_factory=list)

    @property
    def rewards(self) -> np.ndarray:
        """Raw return of each episode, in the order they ended."""
        return np.array([episode.reward for episode in self.episodes], np.float64)

    @property
    def lengths(self) -> np.ndarray:
        """Length of each episode in agent steps."""
        return np.array([episode.length for episode in self.episodes], np.int64)

    @property
    def extra_stats(self) -> dict[str, float]:
        """Mean of each statistic that the env reported, over the episodes that did."""
        reported: dict[str, list[float]] = {}
        for episode in self.episodes:
            for name, value in episode.extra_stats.items():
                reported.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in sorted(reported.items())}

    def summary(self) -> dict[str, float]:
        """Mean, standard deviation (of the population), least and greatest return, mean length, number."""
        rewards = self.rewards
        return {
            "reward_mean": float(rewards.mean()),
            "reward_std": float(rewards.std()),
            "reward_min": float(rewards.min()),
            "reward_max": float(rewards.max()),
            "length_mean": float(self.lengths.mean()),
            "episodes": len(self.episodes),
        }


def quotas(num_episodes: int, num_agents: int) -> np.ndarray:
    """How many of its first episodes each agent contributes, [N]. They differ by at most one and add up.

    Taking the first episodes of each agent, not the first that end anywhere, keeps short episodes from being
    over-represented.
    """
    return np.full(num_agents, num_episodes // num_agents) + (np.arange(num_agents) < num_episodes % num_agents)


@torch.no_grad()
def evaluate(
    policy: Policy,
    vector: AgentVector,
    num_episodes: int,
    *,
    seed: int,
    deterministic: bool = False,
    on_step: Callable[[int], bool] | None = None,
) -> Evaluation:
    """Play until every agent has contributed its share of `num_episodes`.

    Args:
        policy: acts with frozen statistics.
        vector: N agents; `num_episodes` may be smaller than N.
        num_episodes: whole episodes to count.
        seed: of the envs and of the sampled actions.
        deterministic: greedy actions instead of sampled ones.
        on_step: called after each step (to render) with the number of episodes that have ended; returning False ends
            the evaluation early.
    """
    device = policy.device
    generator = torch.Generator(device=device).manual_seed(seed)
    stats = EpisodeStats(vector.num_agents)
    masks = MaskCheck(vector.name, vector.observation_space.spaces, vector.action_space)
    left = quotas(num_episodes, vector.num_agents)
    finished: list[FinishedEpisode] = []
    observation = vector.reset(seed)
    rnn_state = torch.zeros(vector.num_agents, policy.rnn_size, device=device)
    while left.any():
        masks.check(observation, vector.active & ~vector.resetting)
        tensors = {key: torch.as_tensor(value, device=device) for key, value in observation.items()}
        output = policy.act_batch(tensors, rnn_state, deterministic=deterministic, generator=generator)
        acts = torch.as_tensor(vector.active, device=device)[:, None].clone()
        step = vector.step({part: action.cpu().numpy() for part, action in output.action.items()})
        rnn_state = torch.where(acts, output.rnn_state, rnn_state)  # whoever sat out remembers what it did
        rnn_state = rnn_state.masked_fill(torch.as_tensor(step.episode_start, device=device)[:, None], 0.0)
        for episode in stats.update(step):
            if left[episode.agent] > 0:
                left[episode.agent] -= 1
                finished.append(episode)
        observation = step.observation
        if on_step is not None and not on_step(len(finished)):
            break
    return Evaluation(finished)
