"""Options that say how a run is evaluated while it trains."""

from __future__ import annotations

from sf_core.cfg.option import BOOL, INT, Option, OptionGroup

WHILE_TRAINING = OptionGroup(
    "evaluation while training",
    "how a run measures itself, in a process of its own",
    (
        Option(
            name="eval_every_env_steps",
            type=INT,
            default=0,
            low=0,
            help="env steps between two evaluations of the newest weights, which do not hold up training; 0 means "
            "none. --save_best_metric=eval_reward makes them decide which checkpoint is best",
            differs="new",
        ),
        Option(
            name="eval_episodes",
            type=INT,
            default=20,
            low=1,
            help="whole episodes of each of these evaluations",
            differs="new",
        ),
        Option(
            name="eval_deterministic",
            type=BOOL,
            default=False,
            help="evaluate with the most likely action instead of a sampled one; sf-eval and sf-enjoy do as the run "
            "did unless told otherwise",
            differs="also for --eval_every_env_steps",
        ),
    ),
)
