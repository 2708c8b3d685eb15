"""`run_rl(cfg)`: resolve the plan, check the configuration, build the runner, run it.

In: a parsed configuration. Out: how the run ended. Nothing heavy is imported before the plan is known to be good.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sf_core.utils.errors import ComponentFailure, UsageError, report_component_failure, report_usage_error
from sf_core.utils.log import log
from sf_core.utils.status import ExperimentStatus

if TYPE_CHECKING:
    from sf_core.cfg.config import Config
    from sf_core.runner.parallel import ParallelRunner
    from sf_core.runner.serial import SerialRunner


def run_rl(cfg: Config) -> ExperimentStatus:
    """Train as `cfg` says, continuing the run in its folder if there is one.

    Exits with code 2 and one sentence on stderr if the configuration cannot work; nothing is written then. Use
    `make_runner` to get the exception instead.

    Returns:
        FAILURE with one sentence on stderr, nothing written, if the code of an environment or model raises at once.
        SUCCESS when the budget is used up, INTERRUPTED after Ctrl+C or SIGTERM, FAILURE otherwise.
    """
    try:
        return make_runner(cfg).run()
    except UsageError as error:
        sys.exit(report_usage_error(error, verbose=bool(cfg.get("verbose"))))
    except ComponentFailure as error:
        return ExperimentStatus(report_component_failure(error, verbose=bool(cfg.get("verbose"))))


def make_runner(cfg: Config) -> SerialRunner | ParallelRunner:
    """The runner for `cfg`, with its environments (serial) or processes there and nothing written yet.

    Raises:
        UsageError: an unknown component, a missing package, values that contradict each other.
    """
    from sf_core.cfg.checks import check
    from sf_core.cfg.resume import check_same_env
    from sf_core.plugins.manager import build_plan, get_manager

    cfg = check(cfg)
    check_same_env(cfg)
    manager = get_manager(tuple(cfg.plugins or ()), strict=bool(cfg.strict_plugins))
    plan = build_plan(cfg, manager)
    manager.configure(cfg, plan)

    header = manager.report_header(cfg, plan)
    evaluations = None
    if cfg.eval_every_env_steps:
        from sf_core.eval.periodic import PeriodicEvaluation

        evaluations = PeriodicEvaluation(plan)
    if not cfg.serial_mode and sys.platform == "win32":
        log.warning("On Windows everything runs in one process (serial_mode=True).")
        cfg = cfg.replace("engine", serial_mode=True)
    if not cfg.serial_mode:
        from sf_core.runner.parallel import ParallelRunner

        return ParallelRunner(cfg, plan, header, evaluations)
    from sf_core.runner.serial import SerialRunner

    return SerialRunner(cfg, plan, header, evaluations)
