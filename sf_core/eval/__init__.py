"""Evaluate a trained policy over whole episodes. Nothing heavy is imported before there is something to evaluate.

In: an evaluation configuration. Out: printed statistics, on stdout one JSON line with `--json`, files with `--output`.

    episodes.py    which episodes count, and what they come to
    evaluate.py    a policy plays in environments of this process
    workers.py     a policy plays in rollout workers
    session.py     a policy from a run folder;  placement.py  where its environments live
    measure.py     the two together, and the result as plain data;  output.py  tables and files
    periodic.py    evaluations of a run while it trains
    video.py  overlay.py  window.py    pictures for `sf-enjoy`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sf_core.utils.errors import UsageError
from sf_core.utils.status import ExperimentStatus

if TYPE_CHECKING:
    from sf_core.cfg.config import Config
    from sf_core.eval.measure import Measured

_DEFAULT_EPISODES = 100
_UNLIMITED = 10**9


def do_eval(cfg: Config) -> ExperimentStatus:
    """Play `cfg.episodes` whole episodes (100 if not set) with the run's policy, print and write their statistics.

    Raises:
        UsageError: there is no such run or checkpoint, its components are not installed, or a file to be written is
            there already.
    """
    from sf_core.eval.output import output_paths, print_table, write_outputs
    from sf_core.runner.files.run_folder import finite

    paths = output_paths(cfg)
    measured = _measure(cfg)
    if cfg.json:
        print(json.dumps(finite(measured.result()), allow_nan=False), flush=True)
    else:
        print_table(measured.result(), cfg)
    write_outputs(paths, measured)
    for path in () if cfg.json else paths:
        print(f"Wrote {path}")
    return ExperimentStatus.SUCCESS


def evaluate_run(cfg: Config) -> dict[str, Any]:
    """Statistics of whole episodes: un-clipped returns, lengths as training reports them; plain data.

    Raises:
        UsageError: as `do_eval`, and for `--max_num_frames`, which would cut episodes.
    """
    return _measure(cfg).result()


def _measure(cfg: Config) -> Measured:
    from sf_core.eval.measure import measure
    from sf_core.eval.placement import place_envs
    from sf_core.eval.session import open_session

    if cfg.max_num_frames < _UNLIMITED:
        raise UsageError("sf-eval plays whole episodes; use --episodes=N instead of --max_num_frames.")
    for name in ("eval_env_frameskip", "render_action_repeat"):
        if cfg[name] is not None:
            raise UsageError(f"--{name} is for looking at a policy with sf-enjoy; sf-eval plays as in training.")
    episodes = min(cfg.episodes or _DEFAULT_EPISODES, int(cfg.max_num_episodes))
    session = open_session(cfg)
    placement = place_envs(session.cfg, session.plan, episodes)
    return measure(session, placement, episodes, deterministic=bool(cfg.eval_deterministic), threads=cfg.torch_threads)
