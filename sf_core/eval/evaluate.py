"""A fixed policy plays in environments of this process.

In: a policy, an agent vector. Out: what happens in each step, or an `Evaluation` of whole episodes. Rewards are the
environment's own, un-clipped; normalisers are frozen. Knows nothing of checkpoints, folders, videos or printing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.error import DependencyNotInstalled

from sf_core.envs.mask_check import MaskCheck
from sf_core.envs.timestep import AgentVector, TimeStep
from sf_core.eval.episodes import Counting, Evaluation
from sf_core.model.policy import Policy, PolicyOutput
from sf_core.plugins.plan import EnvError, describe_error
from sf_core.sampler.episode_stats import EpisodeStats
from sf_core.sampler.messages import FinishedEpisode
from sf_core.utils.errors import UsageError


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of every env."""

    observation: dict[str, np.ndarray]
    """What was acted on, key -> `[N, *space]`; overwritten by the next step unless it was to be kept."""
    output: PolicyOutput
    step: TimeStep
    finished: list[FinishedEpisode]
    """Episodes that ended with this step."""


def evaluate(
    policy: Policy,
    vector: AgentVector,
    num_episodes: int,
    *,
    seed: int,
    deterministic: bool = False,
    env_steps: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Play until every env has contributed its share of `num_episodes` (see `episodes.py`).

    Args:
        policy: acts with frozen statistics.
        vector: the envs; there may be more than `num_episodes` of them.
        num_episodes: whole episodes to count; games, where several agents play together.
        seed: of the envs and of the sampled actions.
        deterministic: greedy actions instead of sampled ones.
        env_steps: how far training was, for envs that want to know.
        on_step: called after every step.

    Raises:
        EnvError: an env raised.
    """
    counting = Counting(num_episodes, vector.num_envs, vector.agents_per_env, seed)
    for moment in play(policy, vector, seed=seed, deterministic=deterministic, env_steps=env_steps):
        counting.note_acting(moment.step.active)
        counting.add(moment.finished)
        on_step()
        if counting.is_complete():
            break
    return counting.evaluation()


def play(
    policy: Policy,
    vector: AgentVector,
    *,
    seed: int,
    deterministic: bool = False,
    env_steps: int = 0,
    action_repeat: int = 1,
    keep_observation: bool = False,
) -> Iterator[Moment]:
    """Reset the envs and step them for ever.

    Args:
        policy: acts with frozen statistics.
        vector: the envs.
        seed: of the envs and of the sampled actions.
        deterministic: greedy actions instead of sampled ones.
        env_steps: how far training was, for envs that want to know.
        action_repeat: steps for which an action is taken, fewer where an episode ends.
        keep_observation: copy what was acted on, so that it outlives the step.

    Raises:
        EnvError: an env raised.
    """
    device = policy.device
    generator = torch.Generator(device=device).manual_seed(seed)
    stats = EpisodeStats(vector.num_agents)
    masks = MaskCheck(vector.name, vector.observation_space.spaces, vector.action_space)
    with _attributed(vector):
        vector.inform({"policy_id": 0, "approx_total_training_steps": env_steps})
        observation = vector.reset(seed)
    rnn_state = torch.zeros(vector.num_agents, policy.rnn_size, device=device)
    while True:
        masks.check(observation, vector.active & ~vector.resetting)
        tensors = {key: torch.as_tensor(value, device=device) for key, value in observation.items()}
        output = policy.act_batch(tensors, rnn_state, deterministic=deterministic, generator=generator)
        seen = {key: x.copy() for key, x in observation.items()} if keep_observation else observation
        actions = {part: action.cpu().numpy() for part, action in output.action.items()}
        for _ in range(action_repeat):
            with _attributed(vector):
                step = vector.step(actions)
            yield Moment(seen, output, step, stats.update(step))
            if step.episode_start.any() or step.episode_end.any() or not step.active.all():
                break  # somebody has to decide anew
        acted = torch.as_tensor(step.active.copy(), device=device)[:, None]
        rnn_state = torch.where(acted, output.rnn_state, rnn_state)  # whoever sat out remembers what it did
        rnn_state = rnn_state.masked_fill(torch.as_tensor(step.episode_start, device=device)[:, None], 0.0)
        observation = step.observation


@contextmanager
def _attributed(vector: AgentVector) -> Iterator[None]:
    """What an env raises says so."""
    try:
        yield
    except (UsageError, EnvError, DependencyNotInstalled):
        raise
    except Exception as error:
        raise EnvError(f"env {vector.name!r} failed: {describe_error(error)}") from error
