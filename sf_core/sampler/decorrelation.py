"""How many random steps each env takes before a run begins, so that those of one worker are at different places.

In: the length of a rollout, how many envs a worker has, which of them are meant. Out: one number for each. Not known
here: envs.

As in Sample Factory env k of a worker takes k rollouts of random steps, but all envs of a worker together never more
than `MOST_STEPS`: beyond that the steps between one env and the next become fewer, so that many envs, long rollouts or
a slow simulator do not delay the start by minutes.
"""

from __future__ import annotations

MOST_STEPS = 5_000


def random_steps(rollout: int, envs_per_worker: int, first_env: int, num_envs: int) -> tuple[int, ...]:
    """Random steps of envs `first_env` to `first_env + num_envs - 1`, counted through all workers."""
    multiples = envs_per_worker * (envs_per_worker - 1) // 2  # 0 + 1 + ... of the stride below
    stride = min(rollout, MOST_STEPS // max(1, multiples))
    return tuple(env % envs_per_worker * stride for env in range(first_env, first_env + num_envs))
