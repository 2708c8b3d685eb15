"""Evaluate a trained policy over whole episodes. Nothing heavy is imported before there is something to evaluate.

In: an evaluation configuration. Out: printed statistics, on stdout one JSON line with `--json`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sf_core.utils.errors import UsageError
from sf_core.utils.status import ExperimentStatus

if TYPE_CHECKING:
    from sf_core.cfg.config import Config

_MAX_PARALLEL_ENVS = 16
_DEFAULT_EPISODES = 100
_UNLIMITED = 10**9


def do_eval(cfg: Config) -> ExperimentStatus:
    """Play `cfg.episodes` whole episodes (100 if not set) with the run's policy and print their statistics.

    Raises:
        UsageError: there is no such run or checkpoint, or its components are not installed.
    """
    result = evaluate_run(cfg)
    if cfg.json:
        print(json.dumps(result))
    else:
        _print_table(result, cfg)
    return ExperimentStatus.SUCCESS


def evaluate_run(cfg: Config) -> dict[str, Any]:
    """Statistics of whole episodes: un-clipped returns, lengths as training reports them.

    Raises:
        UsageError: as `do_eval`, and for `--max_num_frames`, which would cut episodes.
    """
    from sf_core.eval.evaluate import evaluate
    from sf_core.eval.session import eval_seed, open_session

    if cfg.max_num_frames < _UNLIMITED:
        raise UsageError("sf-eval plays whole episodes; use --episodes=N instead of --max_num_frames.")
    episodes = min(cfg.episodes or _DEFAULT_EPISODES, int(cfg.max_num_episodes))
    session = open_session(cfg, num_envs=min(episodes, _MAX_PARALLEL_ENVS))
    try:
        evaluation = evaluate(
            session.policy,
            session.vector,
            episodes,
            seed=eval_seed(cfg),
            deterministic=cfg.eval_deterministic,
        )
    finally:
        session.vector.close()
    result: dict[str, Any] = evaluation.summary()
    if cfg.summaries_use_frameskip:
        result["length_mean"] *= cfg.env_frameskip
    return {
        **result,
        "extra_stats": evaluation.extra_stats,
        "checkpoint": session.checkpoint.name,
        "deterministic": bool(cfg.eval_deterministic),
    }


def _print_table(result: dict[str, Any], cfg: Config) -> None:
    from rich.console import Console
    from rich.table import Table

    actions = "greedy" if result["deterministic"] else "sampled"
    table = Table(title=f"{cfg.env} · {cfg.experiment} · {result['checkpoint']}", title_justify="left")
    table.add_column("over")
    for column in ("mean return", "std", "min", "max", "mean length"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{result['episodes']} episodes, {actions} actions",
        f"{result['reward_mean']:.2f}",
        f"{result['reward_std']:.2f}",
        f"{result['reward_min']:.2f}",
        f"{result['reward_max']:.2f}",
        f"{result['length_mean']:.1f}",
    )
    console = Console()
    console.print(table)
    for name, mean in result["extra_stats"].items():
        console.print(f"mean {name}: {mean:.3f}", highlight=False)
