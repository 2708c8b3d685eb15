"""What the benchmarks add to ours with `-p sf_bench.plugin`: two envs, a wrapper and the observer that writes progress.

Thin, as every plugin module: sf_core and the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from sf_bench import progress
from sf_bench.first_step import note_first_step
from sf_core import EnvSpec, ObserverSpec, TrainingObserver, WrapperSpec, hookimpl

PLUGIN = "sf_bench.plugin"


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """Offer an env that costs nothing, and Pong on the usual stack of Python wrappers."""
    yield EnvSpec(
        name="bench_null",
        factory="sf_bench.null_env:make_null_env",
        vector_factory="sf_bench.null_env:make_null_vector_env",
        summary="costs nothing: Box(4) float32, Discrete(2), never ends",
    )
    yield EnvSpec(
        name="pong_python_wrappers",
        factory="sf_bench.python_wrappers:make_pong",
        requires={"ale_py": "ale-py", "cv2": "opencv-python-headless"},
        summary="Atari Pong on Python wrappers, as peers have it",
    )


@hookimpl
def sf_wrappers() -> Iterator[WrapperSpec]:
    """Offer what notes the time of the first step."""
    yield WrapperSpec(name="bench_first_step", factory="sf_bench.plugin:wrap")


@hookimpl
def sf_observers() -> Iterator[ObserverSpec]:
    """Offer what writes progress."""
    yield ObserverSpec(name="bench_progress", factory="sf_bench.plugin:ProgressObserver", critical=True)


def wrap(env: Any, cfg: Mapping[str, Any], env_config: Mapping[str, Any]) -> Any:
    """The env; the time of its first step is written down."""
    return note_first_step(env)


class ProgressObserver(TrainingObserver):
    """Writes a line per training iteration and ends the run when there is enough."""

    def __init__(self, cfg: Any = None) -> None:
        self._frame_skip = int(cfg.env_frameskip)
        self._log = progress.ProgressLog.from_environment() if progress.VARIABLE in os.environ else None

    def on_train_step(self, run: Any, policy_id: int, stats: Mapping[str, float]) -> None:
        """One training iteration is done."""
        if self._log and self._log.iteration(run.env_steps(policy_id) // self._frame_skip):
            run.request_stop("enough was measured")
