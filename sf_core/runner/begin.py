"""What either engine settles before anything else: seed, threads, folder.

In: a configuration. Out: the same with nothing left to chance, and a folder that may be used. Writes nothing.
"""

from __future__ import annotations

from sf_core.cfg.config import Config
from sf_core.cfg.resume import seed_of
from sf_core.runner.files.run_folder import RunFolder
from sf_core.utils.cores import available_cores


def begin_run(cfg: Config) -> tuple[Config, RunFolder]:
    """`cfg` with a seed and a number of threads, and the folder of the run.

    Raises:
        UsageError: the folder cannot be used, or holds a run that this one would damage.
    """
    if cfg.seed is None:
        cfg = cfg.replace("auto", seed=seed_of(cfg))
    if not cfg.torch_threads:
        cfg = cfg.replace("auto", torch_threads=available_cores())
    folder = RunFolder(cfg.train_dir, cfg.experiment)
    folder.check()
    return cfg, folder
