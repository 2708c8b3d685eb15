"""Evaluates an opened session, here or in workers, and says what came out.

In: a session, a placement. Out: an `Evaluation` and its result as plain data. Prints and writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from sf_core.envs.env_info import probe_env
from sf_core.eval.episodes import Episode, Evaluation
from sf_core.eval.evaluate import evaluate
from sf_core.eval.placement import Placement
from sf_core.eval.session import EvalSession, asked
from sf_core.runner.threads import thread_budget
from sf_core.utils.cores import available_cores


@dataclass(frozen=True)
class Measured:
    """An evaluation, and how it was made."""

    session: EvalSession
    placement: Placement
    evaluation: Evaluation
    deterministic: bool
    seconds: float

    @property
    def _frame_skip(self) -> int:
        """Lengths are reported as training reports them."""
        cfg = self.session.cfg
        return int(cfg.env_frameskip) if cfg.summaries_use_frameskip else 1

    def result(self) -> dict[str, Any]:
        """Statistics of all episodes, those of each agent where there are several, and what they are of."""
        evaluation, agents = self.evaluation, self.evaluation.agents
        by_agent = [{"agent": agent, **self._summary(evaluation.of_agent(agent))} for agent in agents]
        return {
            **self._summary(evaluation),
            **({"agents": by_agent} if len(agents) > 1 else {}),
            "checkpoint": self.session.checkpoint.name,
            "env_steps": self.session.env_steps,
            "policy_version": self.session.policy.policy_version,
            "deterministic": self.deterministic,
            "seed": self.session.seed_asked,
            "num_workers": self.placement.num_workers,
            "num_envs": self.placement.num_envs,
            "seconds": round(self.seconds, 3),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One for each episode of each agent; statistics that an env reports keep their names."""
        return [self._row(episode) for episode in self.evaluation.episodes]

    def _summary(self, evaluation: Evaluation) -> dict[str, Any]:
        summary = evaluation.summary()
        summary["length_mean"] *= self._frame_skip
        return {**summary, "extra_stats": evaluation.extra_stats}

    def _row(self, episode: Episode) -> dict[str, Any]:
        own = {
            "env": episode.env,
            "agent": episode.agent,
            "episode": episode.number,
            "seed": episode.seed,
            "return": episode.reward,
            "length": episode.length * self._frame_skip,
        }
        return {**own, **{name: value for name, value in episode.extra_stats.items() if name not in own}}


def measure(
    session: EvalSession,
    placement: Placement,
    num_episodes: int,
    *,
    deterministic: bool,
    threads: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> Measured:
    """Play whole episodes.

    Args:
        session: the policy.
        placement: where the envs live.
        num_episodes: episodes to count.
        deterministic: greedy actions instead of sampled ones.
        threads: the most that torch may use; 0 means every core.
        on_step: called after every step of envs in this process.

    Raises:
        UsageError: the env cannot be made, or has other spaces than the policy.
        EnvError: an env raised.
    """
    begin_s = time.monotonic()
    options: dict[str, Any] = {
        "seed": session.seed,
        "deterministic": deterministic,
        "env_steps": session.env_steps,
    }
    with _threads(session, placement, threads):
        if placement.num_workers:
            evaluation = _in_workers(session, placement, num_episodes, options)
        else:
            vector = session.make_vector(placement.num_envs)
            try:
                evaluation = evaluate(session.policy, vector, num_episodes, on_step=on_step, **options)
            finally:
                vector.close()
    return Measured(session, placement, evaluation, deterministic, time.monotonic() - begin_s)


def _in_workers(session: EvalSession, placement: Placement, num_episodes: int, options: dict[str, Any]) -> Evaluation:
    from sf_core.eval.workers import evaluate_in_workers  # not on Windows, where everything is serial

    cfg = session.cfg.replace(
        "engine",
        num_workers=placement.num_workers,
        num_envs_per_worker=placement.envs_per_worker,
        worker_num_splits=asked(session.cfg, "worker_num_splits") or 1,
    )
    session.plan.check_portable()
    info = placement.info or probe_env(session.plan.env, cfg)
    session.check_spaces(info)
    return evaluate_in_workers(session.policy, session.plan, cfg, info, num_episodes, **options)


@contextmanager
def _threads(session: EvalSession, placement: Placement, most: int) -> Iterator[None]:
    """As many threads as the policy is worth; afterwards what there were."""
    before = torch.get_num_threads()
    network = session.policy.actor_critic
    budget = thread_budget(network, most or available_cores(), acting_rows=placement.num_envs, minibatch_rows=1)
    torch.set_num_threads(budget.inference)
    try:
        yield
    finally:
        torch.set_num_threads(before)
