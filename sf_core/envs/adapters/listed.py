"""What adapters over a list of env objects share: making sense of the list, resetting, drawing, closing.

In: env objects with the same spaces. Out: the attributes and the parts of `AgentVector` that do not depend on how many
agents an env has. Not known here: what a step means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from sf_core.envs.adapters.common import (
    draws_itself,
    first_frame,
    observation_arrays,
    render_fps,
    reset_env,
    tell_whose,
)
from sf_core.envs.checks import check_pair, flat_spaces
from sf_core.envs.env_utils import TrainingInfoInterface, find_interface
from sf_core.envs.seeding import SeedSource
from sf_core.envs.spaces import is_action_mask
from sf_core.utils.errors import UsageError


class ListedEnvs:
    """Base of the adapters whose envs are objects of their own, stepped one after the other.

    Args:
        envs: at least one.
        agents_per_env: rows that each env has.
        name: for messages.
        seed: of the run; used for the first reset only.
        first_env_id: number of the first env in the run.

    Raises:
        UsageError: the copies differ in their spaces.
    """

    def __init__(
        self, envs: Sequence[Any], agents_per_env: int, *, name: str = "env", seed: int | None, first_env_id: int
    ) -> None:
        self._envs = list(envs)
        first = self._envs[0]
        self._seeds = SeedSource(len(self._envs), seed, first_env_id)
        self._raw_observation_space = first.observation_space
        self.name = name
        self.num_envs = len(self._envs)
        self.agents_per_env = agents_per_env
        self.num_agents = self.num_envs * agents_per_env
        self.observation_space = flat_spaces(name, self._raw_observation_space)
        self.action_space = first.action_space
        self.render_mode: str | None = getattr(first, "render_mode", None)
        self.render_fps = render_fps(first)
        self._draws_itself = self.render_mode == "human" and draws_itself(first)
        for index, env in enumerate(self._envs):
            if env.observation_space != self._raw_observation_space or env.action_space != self.action_space:
                raise UsageError(
                    f"env {name!r}: copy {index} has other spaces than copy 0; every copy of an env must have the "
                    "same observation_space and action_space"
                )
        self._composite = isinstance(self._raw_observation_space, spaces.Dict | spaces.Tuple)
        self._observation = observation_arrays(self.observation_space, self.num_agents)
        self._all = np.ones(self.num_agents, bool)
        self._none = np.zeros(self.num_agents, bool)
        self.active = np.ones(self.num_agents, bool)
        self.resetting = self._none
        self._informed = [find_interface(env, TrainingInfoInterface) for env in self._envs]
        self._training_info: Mapping[str, Any] = {}
        self._checked_step = False
        self._closed = False

    def reset(self, seed: int | Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """See `AgentVector.reset`."""
        seeds = self._seeds.seeds_for(seed)
        index = 0
        try:
            for index, env in enumerate(self._envs):
                seed_of_env = None if seeds is None else seeds[index]
                self._resets(index, seed_of_env)
                result = reset_env(env, seed_of_env)
                check_pair(self.name, result)
                self._begin(index, *result)
        except Exception as error:
            tell_whose(error, self._seeds, [index])
            raise
        return self._observation

    def play_randomly(self, num_steps: Sequence[int], seed: int | None) -> dict[str, np.ndarray] | None:
        """See `AgentVector.play_randomly`."""
        if any(is_action_mask(key) for key in self.observation_space.spaces):
            return None
        seeds = self._seeds.derived_from(seed)
        for index, (env, steps) in enumerate(zip(self._envs, num_steps, strict=True)):
            env.action_space.seed(seeds[index])
            for _ in range(steps):
                self._play(index)
        return self._observation

    def inform(self, training_info: Mapping[str, Any]) -> None:
        """See `AgentVector.inform`."""
        self._training_info = training_info

    def render(self) -> np.ndarray | None:
        """See `AgentVector.render`."""
        return None if self._draws_itself else first_frame(self._envs[0].render())

    def close(self) -> None:
        """See `AgentVector.close`."""
        if not self._closed:
            self._closed = True
            for env in self._envs:
                env.close()

    def _tell(self, index: int) -> None:
        """An episode of env `index` has ended: say how far training is, if it wants to know."""
        if (env := self._informed[index]) is not None and self._training_info:
            env.set_training_info(self._training_info)

    def _resets(self, index: int, seed: int | None) -> None:
        """Env `index` is about to be reset from outside."""

    def _begin(self, index: int, observation: Any, info: Any) -> None:
        """Check and store what env `index` returned from a reset from outside."""
        raise NotImplementedError

    def _play(self, index: int) -> None:
        """Take one random step in env `index` and store what to act on next."""
        raise NotImplementedError
