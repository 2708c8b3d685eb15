"""The learning rate as a function of counters.

In: the counters of a run and the divergence it measured. Out: a learning rate. No schedule keeps a position of its own:
what a resumed run needs is its counters and, for the adaptive kinds, the last learning rate.
"""

from __future__ import annotations

KL_RANGE = 2.0  # tolerated factor around the wanted divergence
KL_STEP = 1.5  # factor of one correction


def linear_decay(initial: float, env_steps: int, train_for_env_steps: int) -> float:
    """Initial * (1 - env_steps / train_for_env_steps), and 0 from the end of the budget on.

    Both counts are in the same unit, so the frame skip cancels out.
    """
    return initial * max(0.0, 1.0 - env_steps / max(1, train_for_env_steps))


def kl_adaptive(lr: float, kl: float, *, threshold: float, lowest: float, highest: float) -> float:
    """One correction towards KL(π‖μ) = threshold.

    kl > 2 threshold: lr / 1.5, not below `lowest`; kl < threshold / 2: lr * 1.5, not above `highest`. (The rule of
    rl_games' `AdaptiveScheduler`; the idea is Schulman et al. 2017, section 4.)
    """
    if kl > KL_RANGE * threshold:
        return max(lr / KL_STEP, lowest)
    if kl < threshold / KL_RANGE:
        return min(lr * KL_STEP, highest)
    return lr
