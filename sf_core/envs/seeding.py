"""Seeds of environments: from the run's seed and an env's number to the seed that env gets.

`seed + env_id` would give env 1 of seed 0 and env 0 of seed 1 the same episodes, so that runs meant to be independent
share most of their data. Hashing the pair (numpy's SeedSequence) keeps them apart. Not known here: who resets when.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def env_seed(seed: int, env_id: int) -> int:
    """The seed of one env: 31 bits, since many simulators keep it in a C int."""
    words = np.random.SeedSequence(entropy=seed, spawn_key=(env_id,)).generate_state(1, np.uint32)
    return int(words[0] >> 1)


def env_seeds(seed: int, num_envs: int, first_env_id: int = 0) -> tuple[int, ...]:
    """The seeds of envs `first_env_id` to `first_env_id + num_envs - 1`."""
    return tuple(env_seed(seed, first_env_id + index) for index in range(num_envs))


class SeedSource:
    """Which seeds the next reset of `num_envs` envs gets; the run's seed is used for the first reset only.

    Attributes:
        given: the last ones; empty before the first.
    """

    def __init__(self, num_envs: int, seed: int | None, first_env_id: int) -> None:
        self._num_envs = num_envs
        self._unused = seed
        self.first_env_id = first_env_id
        self.given: list[int] = []

    def derived_from(self, seed: int | None) -> list[int] | list[None]:
        """One seed for each env, or as many times None."""
        return [None] * self._num_envs if seed is None else list(env_seeds(seed, self._num_envs, self.first_env_id))

    def seeds_for(self, seed: int | Sequence[int] | None) -> list[int] | None:
        """One seed for each env, or None for a reset that goes on with the envs' own random state."""
        unused, self._unused = self._unused, None
        seed = unused if seed is None else seed
        if seed is None:
            return None
        if isinstance(seed, int | np.integer):
            self.given = list(env_seeds(int(seed), self._num_envs, self.first_env_id))
        elif len(seed) != self._num_envs:
            raise ValueError(f"{len(seed)} seeds for {self._num_envs} envs")
        else:
            self.given = [int(one) for one in seed]
        return self.given
