"""`python -m sf_core.runner.reports.wandb_relay`: hands a run's metrics to Weights & Biases, in a process of its own.

In: JSON lines on standard input: what to begin with, then `{"step": ..., "scalars": ...}`, at last `{"finish": exit
code}`. Out: JSON lines on standard output: `{"url": ...}`, `{"directory": ...}`, `{"error": ...}`; whatever else W&B
prints is not JSON. It imports the standard library and `wandb`, nothing of `sf_core`.

Whatever happens here (no network, a full disk, a crash, minutes of uploading) happens to nobody else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

_ATTEMPTS = 3  # to begin; the network may be busy
_ORPHAN_S = 60.0  # in which to finish after the run was killed


def main() -> int:
    """Until standard input ends; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner says when the run is over
    try:
        import wandb

        first = json.loads(sys.stdin.readline())
        os.makedirs(first["init"]["dir"], exist_ok=True)
        run = _begin(wandb, first["init"])
        _tell(url=getattr(run, "url", None), directory=_directory(run))
        for line in sys.stdin:
            message = json.loads(line)
            if "finish" in message:
                run.finish(exit_code=message["finish"])
                return 0
            # W&B's own step is the env step, so a resumed run adds nothing to the past
            run.log(message["scalars"], step=message["step"])
    except Exception as error:
        _tell(error=f"{type(error).__name__}: {error}")
        return 1
    threading.Timer(_ORPHAN_S, os._exit, (1,)).start()
    run.finish(exit_code=1)  # nobody said how the run ended
    os._exit(1)


def _begin(wandb: Any, arguments: dict[str, Any]) -> Any:
    settings = wandb.Settings(console="off", silent=True, disable_code=True)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return wandb.init(**arguments, settings=settings)
        except Exception:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _directory(run: Any) -> str | None:
    files = getattr(run, "dir", None)  # <directory of the run>/files
    return os.path.dirname(files) if isinstance(files, str) else None


def _tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
