"""Options that say how the policy improves: data of one training iteration, losses, optimiser, normalisation."""

from __future__ import annotations

from sf_core.cfg.option import BOOL, FLOAT, INT, STR, Option, OptionGroup

DATA = OptionGroup(
    "data",
    "what one training iteration takes; a dataset is batch_size x num_batches_per_epoch transitions",
    (
        Option(name="rollout", type=INT, default=32, low=1, help="consecutive steps of one agent in one rollout"),
        Option(
            name="batch_size",
            type=INT,
            default=1024,
            low=1,
            help="transitions in a minibatch, a multiple of rollout",
        ),
        Option(
            name="num_batches_per_epoch",
            type=INT,
            default=1,
            low=1,
            help="minibatches in a dataset",
        ),
        Option(name="num_epochs", type=INT, default=1, low=1, help="passes over a dataset"),
        Option(
            name="recurrence",
            type=INT,
            default=-1,
            low=-1,
            help="steps that gradients flow back through; -1 means rollout with a memory or V-trace, else 1",
            differs="-1 also means rollout with V-trace, which needs it",
        ),
        Option(
            name="shuffle_minibatches",
            type=BOOL,
            default=False,
            help="deal segments to minibatches anew in every epoch",
        ),
        Option(
            name="max_policy_lag",
            type=INT,
            default=1000,
            low=1,
            help="leave out transitions that are older than this many optimiser steps",
        ),
        Option(name="gamma", type=FLOAT, default=0.99, low=0, high=1, help="discount"),
        Option(name="gae_lambda", type=FLOAT, default=0.95, low=0, high=1, help="lambda of GAE; unused by V-trace"),
        Option(
            name="reward_scale",
            type=FLOAT,
            default=1.0,
            help="factor on rewards that the learner sees; reports stay in the environment's units",
        ),
        Option(
            name="reward_clip",
            type=FLOAT,
            default=1000.0,
            above=0,
            help="largest size of a scaled reward that the learner sees; reports are not clipped",
        ),
        Option(
            name="value_bootstrap",
            type=BOOL,
            default=False,
            automatic="an episode cut by a limit is always continued with the value of its final observation",
            help="bootstrap episodes that were cut by a time limit",
        ),
        Option(
            name="with_vtrace",
            type=BOOL,
            default=False,
            help="V-trace advantages and targets instead of GAE",
        ),
        Option(name="vtrace_rho", type=FLOAT, default=1.0, above=0, help="largest importance weight of a step (rho)"),
        Option(name="vtrace_c", type=FLOAT, default=1.0, above=0, help="largest importance weight of a trace (c)"),
    ),
)

LOSSES = OptionGroup(
    "losses",
    "terms of the loss",
    (
        Option(
            name="ppo_clip_ratio",
            type=FLOAT,
            default=0.1,
            above=0,
            help="e: the importance ratio is clipped to [1/(1+e), 1+e]",
        ),
        Option(
            name="ppo_clip_value",
            type=FLOAT,
            default=1.0,
            above=0,
            help="largest change of a value estimate before it is clipped",
        ),
        Option(name="value_loss_coeff", type=FLOAT, default=0.5, low=0, help="weight of the value loss"),
        Option(
            name="exploration_loss",
            type=STR,
            default="entropy",
            choices=("entropy", "symmetric_kl"),
            help="the exploration term: an entropy bonus, or the symmetric KL divergence to the uniform policy (of the "
            "discrete parts of an action; continuous ones have the entropy bonus in either case)",
        ),
        Option(name="exploration_loss_coeff", type=FLOAT, default=0.003, low=0, help="weight of the exploration term"),
        Option(
            name="kl_loss_coeff",
            type=FLOAT,
            default=0.0,
            low=0,
            help="weight of the KL divergence to the policy that collected the data",
        ),
    ),
)

OPTIMIZER = OptionGroup(
    "optimizer",
    "optimiser and learning rate",
    (
        Option(name="optimizer", type=STR, default="adam", choices=("adam", "lamb"), help="the optimiser"),
        Option(name="learning_rate", type=FLOAT, default=1e-4, low=0, help="learning rate at the start"),
        Option(
            name="lr_schedule",
            type=STR,
            default="constant",
            choices=("constant", "linear_decay", "kl_adaptive_minibatch", "kl_adaptive_epoch"),
            help="how the learning rate changes; linear_decay reaches zero at --train_for_env_steps",
            differs="linear_decay can be chosen and ends at zero (there: no choice of the command line, "
            "and with a frame skip it never arrived)",
        ),
        Option(
            name="lr_schedule_kl_threshold",
            type=FLOAT,
            default=0.008,
            above=0,
            help="KL divergence that the adaptive schedules aim at",
        ),
        Option(name="lr_adaptive_min", type=FLOAT, default=1e-6, low=0, help="lower bound of the adaptive schedules"),
        Option(name="lr_adaptive_max", type=FLOAT, default=1e-2, above=0, help="upper bound of the adaptive schedules"),
        Option(name="adam_eps", type=FLOAT, default=1e-6, above=0, help="epsilon"),
        Option(name="adam_beta1", type=FLOAT, default=0.9, low=0, high=1, help="decay of the first moment"),
        Option(name="adam_beta2", type=FLOAT, default=0.999, low=0, high=1, help="decay of the second moment"),
        Option(
            name="max_grad_norm",
            type=FLOAT,
            default=4.0,
            low=0,
            help="largest L2 norm of all gradients together; 0 means no limit",
        ),
    ),
)

NORMALIZATION = OptionGroup(
    "normalization",
    "of observations and returns",
    (
        Option(
            name="normalize_input",
            type=BOOL,
            default=True,
            help="normalise observations with their running mean and deviation",
        ),
        Option(
            name="normalize_input_keys",
            type=STR,
            default=None,
            many=True,
            help="only these keys of the observation; not set means all",
        ),
        Option(name="obs_subtract_mean", type=FLOAT, default=0.0, help="subtracted from the observation `obs`"),
        Option(
            name="obs_scale",
            type=FLOAT,
            default=1.0,
            above=0,
            help="what the observation `obs` is divided by, before it is normalised",
        ),
        Option(
            name="normalize_returns",
            type=BOOL,
            default=True,
            help="learn values in units of the running deviation of returns",
            differs="when the running mean and deviation change, the value head is rescaled so that no value moves "
            "(PopArt); there values drift with their unit",
        ),
    ),
)
