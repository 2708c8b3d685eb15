"""`sf-eval`: the process of an evaluation while its run trains (see `periodic.py`).

In: a copy of a checkpoint. Out: the result to the runner; where it is the best one, the copy becomes the run's best
checkpoint. Lives for one evaluation.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sf_core.cfg.checks import EVAL_REWARD
from sf_core.eval.measure import measure
from sf_core.eval.periodic import Alive, EvaluationTask
from sf_core.eval.placement import Placement, default_num_envs
from sf_core.eval.session import open_session_of_run
from sf_core.learner.checkpoint_folder import remove_checkpoint
from sf_core.model.checkpoint_files import JSON_FILE, facts_checksum, find_checkpoints
from sf_core.runner.files.run_folder import finite
from sf_core.runner.processes.process import Role, begin_process, failures_to
from sf_core.runner.reports.evaluations import Evaluated

_LEAST_IMPROVEMENT = 1e-3  # as for every other metric of --save_best_metric
_PULSE_S = 1.0


def evaluation_main(role: Role, task: EvaluationTask) -> None:
    """The body of the process."""
    begin_process(role, task.control)
    with failures_to(task.control, leave_at_once=True):
        cfg = task.cfg
        session = open_session_of_run(cfg, task.plan, task.checkpoint)
        measured = measure(
            session,
            Placement(0, default_num_envs(cfg.eval_episodes)),
            cfg.eval_episodes,
            deterministic=bool(cfg.eval_deterministic),
            threads=role.threads,
            on_step=_Pulse(task.control),
        )
        result = measured.result()
        is_best = task.best_reward is not None and result["reward_mean"] > task.best_reward + _LEAST_IMPROVEMENT
        if is_best:
            keep_as_best(task.checkpoint, task.checkpoints, result)
        task.control.send(Evaluated(session.env_steps, result, is_best))


def keep_as_best(checkpoint: Path, checkpoints: Path, result: Mapping[str, Any]) -> Path:
    """Move a checkpoint among those of its run as the best one, with the result beside it; the last best one goes."""
    file = checkpoint / JSON_FILE
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["evaluation"] = finite(result)
    facts["sha256"][JSON_FILE] = facts_checksum(facts)
    temporary = checkpoint / f".{JSON_FILE}.tmp"  # a new file: the old one may be a link to that of the run
    with temporary.open("w", encoding="utf-8") as opened:
        json.dump(facts, opened, indent=1, allow_nan=False)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
    numbers = checkpoint.name.removeprefix("checkpoint_")
    best = checkpoints / f"best_{numbers}_{EVAL_REWARD}_{result['reward_mean']:.3f}"
    if best.exists():
        remove_checkpoint(best)
    checkpoint.rename(best)
    for old in find_checkpoints(checkpoints, "best"):
        if old != best:
            remove_checkpoint(old)
    return best


class _Pulse:
    """Tells the runner now and then that the evaluation goes on."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._next_s = 0.0

    def __call__(self) -> None:
        if (now := time.monotonic()) >= self._next_s:
            self._next_s = now + _PULSE_S
            self._control.send(Alive())
