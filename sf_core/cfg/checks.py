"""Values that only make sense together: refused in one sentence with a fix, or completed.

Comes in: a typed `Config`. Leaves: the same with derived values, or a `UsageError`. `check` may be called again on its
own result, also after values were replaced: what it derived, it derives anew. It does not know environments: what
depends on the number of agents is in `check_dataset_size`, for whoever has asked the environment.
"""

from __future__ import annotations

import math
import re
from typing import Any

from sf_core.cfg.config import ORIGINS, Config
from sf_core.cfg.options import core_options
from sf_core.utils.errors import UsageError

EVAL_REWARD = "eval_reward"
"""The value of `--save_best_metric` that stands for the mean return of `--eval_every_env_steps`."""
_DEVICE = re.compile(r"auto|cpu|gpu|cuda|cuda:\d+|mps")
_ASKED = ("preset", "config", "cli")  # sources in which somebody wrote both of two contradicting values on purpose
_IMAGE_ENCODERS = core_options()["encoder_conv_architecture"].choices


def check(cfg: Config, evaluation: bool = False) -> Config:
    """The configuration with derived values.

    Derived are `recurrence` (-1), and whatever an explicit `--core`, `--encoder` or `--actor_critic` says about Sample
    Factory's flags for the same thing (`use_rnn`, `rnn_type`, `encoder_conv_architecture`,
    `actor_critic_share_weights`), or the other way round.

    Args:
        cfg: typed values.
        evaluation: leave out what only matters for training.

    Raises:
        UsageError: values that contradict each other, or that are not available.
    """
    _check_available(cfg)
    _check_device(cfg)
    _check_experiment(cfg)
    cfg = _agree_on_core(cfg)
    cfg = _agree_on_encoder(cfg)
    cfg = _agree_on_actor_critic(cfg)
    cfg = _derive_recurrence(cfg)
    if not evaluation:
        _check_recurrence(cfg)
        _check_batches(cfg)
        _check_sampling(cfg)
        _check_schedule(cfg)
        _check_evaluation(cfg)
        check_dataset_size(cfg)
    return cfg


def check_dataset_size(cfg: Config, agents_per_env: int = 1) -> None:
    """When collecting and training take turns, a whole number of rounds of rollouts must fill one dataset.

    Does nothing for an asynchronous run, or while the number of environments is still "auto".

    Raises:
        UsageError: batch_size * num_batches_per_epoch is no multiple of the transitions of one round of rollouts.
    """
    if (cfg.async_rl and not cfg.serial_mode) or "auto" in (cfg.num_workers, cfg.num_envs_per_worker):
        return
    if cfg.async_rl and cfg.origin("serial_mode") == "engine":
        return  # the engine chose serial mode for a command line meant for another one, and fits the numbers itself
    per_round = cfg.num_workers * cfg.num_envs_per_worker * agents_per_env * cfg.rollout
    dataset = cfg.batch_size * cfg.num_batches_per_epoch
    if dataset % per_round == 0:
        return
    agents = f" x {agents_per_env} agents" if agents_per_env > 1 else ""
    # batch_size must fill whole rounds together with its sisters, and be a multiple of rollout itself.
    step = math.lcm(per_round // math.gcd(per_round, cfg.num_batches_per_epoch), cfg.rollout)
    raise UsageError(
        f"batch_size={cfg.batch_size} x num_batches_per_epoch={cfg.num_batches_per_epoch} = {dataset} is not a "
        f"multiple of num_workers={cfg.num_workers} x num_envs_per_worker={cfg.num_envs_per_worker}{agents} x "
        f"rollout={cfg.rollout} = {per_round}; try batch_size={multiples_near(cfg.batch_size, step)}, or "
        "--num_workers=auto --num_envs_per_worker=auto."
    )


def multiples_near(value: int, step: int) -> str:
    """The multiples of `step` around `value`, as a proposal: `"992 or 1024"`."""
    below = value // step * step
    return f"{below} or {below + step}" if below else str(step)


def _check_available(cfg: Config) -> None:
    for name, option in core_options().items():
        if option.unavailable and name in cfg and cfg[name] != option.default:
            raise UsageError(f"{option.flag}={cfg[name]}: {option.unavailable}.")


def _check_device(cfg: Config) -> None:
    if not _DEVICE.fullmatch(cfg.device):
        raise UsageError(f"--device={cfg.device} is none of auto, cpu, gpu, cuda, cuda:N and mps.")


def _check_experiment(cfg: Config) -> None:
    """An experiment is one folder below `train_dir`: it must not reach out of it, nor be `train_dir` itself."""
    parts = re.split(r"[/\\\\]", cfg.experiment)
    if any(part in ("", ".", "..") for part in parts):
        raise UsageError(
            f"--experiment={cfg.experiment} is not the name of a folder below train_dir; try --experiment=my_run."
        )


def _strength(cfg: Config, name: str) -> int:
    return ORIGINS.index(cfg.origin(name))


def _bare(name: str) -> str:
    return name.removeprefix("core/")


def _agree_on_core(cfg: Config) -> Config:
    """`--core` and `--use_rnn`, `--rnn_type` say the same thing; the stronger source is right, equals must agree."""
    core = _bare(cfg.core)
    if core == "auto":
        return cfg
    means: dict[str, Any] = {"none": {"use_rnn": False}}.get(core, {"use_rnn": True})
    if core in ("gru", "lstm"):
        means = {**means, "rnn_type": core}
    elif core != "none":
        # A plugin's core may remember or not. Unless told otherwise, gradients flow back through it.
        return cfg if _strength(cfg, "use_rnn") >= _strength(cfg, "core") else _follow(cfg, "core", means)
    if _strength(cfg, "use_rnn") > _strength(cfg, "core") and cfg.use_rnn != means["use_rnn"]:
        return cfg.replace(cfg.origin("use_rnn"), core="auto")
    if core != "none" and _strength(cfg, "rnn_type") > _strength(cfg, "core") and cfg.rnn_type != core:
        return cfg.replace(cfg.origin("rnn_type"), core="auto")
    return _follow(cfg, "core", means)


def _agree_on_encoder(cfg: Config) -> Config:
    encoder = _bare(cfg.encoder)
    both_asked = cfg.origin("encoder") == cfg.origin("encoder_conv_architecture") in _ASKED
    if encoder == "mlp" and both_asked:
        raise UsageError(
            f"--encoder={cfg.encoder} and --encoder_conv_architecture={cfg.encoder_conv_architecture} contradict each "
            "other; leave one of them out."
        )
    if encoder not in _IMAGE_ENCODERS:
        return cfg
    if _strength(cfg, "encoder_conv_architecture") > _strength(cfg, "encoder"):
        return cfg.replace(cfg.origin("encoder_conv_architecture"), encoder="auto")
    return _follow(cfg, "encoder", {"encoder_conv_architecture": encoder})


def _agree_on_actor_critic(cfg: Config) -> Config:
    kind = _bare(cfg.actor_critic)
    if kind not in ("shared", "separate"):
        return cfg
    if _strength(cfg, "actor_critic_share_weights") > _strength(cfg, "actor_critic"):
        return cfg.replace(cfg.origin("actor_critic_share_weights"), actor_critic="auto")
    return _follow(cfg, "actor_critic", {"actor_critic_share_weights": kind == "shared"})


def _follow(cfg: Config, leader: str, means: dict[str, Any]) -> Config:
    """Set what `leader` means, with its origin; refuse what was asked for just as strongly and contradicts it."""
    changes = {name: value for name, value in means.items() if cfg[name] != value}
    for name in changes:
        if _strength(cfg, name) == _strength(cfg, leader) and cfg.origin(leader) in _ASKED:
            raise UsageError(
                f"--{leader}={cfg[leader]} and --{name}={cfg[name]} contradict each other; leave one of them out."
            )
    return cfg.replace(cfg.origin(leader), **changes) if changes else cfg


def _derive_recurrence(cfg: Config) -> Config:
    asked, origin = cfg.requested.get("recurrence", (cfg.recurrence, cfg.origin("recurrence")))
    if cfg.origin("recurrence") == "auto":
        cfg = cfg.replace(origin, recurrence=asked)
    if cfg.recurrence == 0:
        raise UsageError("--recurrence=0 is neither a number of steps nor -1; try --recurrence=-1 (chosen for you).")
    if cfg.recurrence > 0:
        return cfg
    return cfg.replace("auto", recurrence=cfg.rollout if cfg.use_rnn or cfg.with_vtrace else 1)


def _check_recurrence(cfg: Config) -> None:
    rollout, recurrence = cfg.rollout, cfg.recurrence
    if cfg.with_vtrace:
        if cfg.normalize_returns:
            raise UsageError("--with_vtrace=True cannot normalise returns; add --normalize_returns=False.")
        if rollout == 1:
            raise UsageError("--with_vtrace=True needs more than one step of experience; try --rollout=32.")
        if recurrence != rollout:
            raise UsageError(
                f"--with_vtrace=True needs whole rollouts, but recurrence={recurrence} and rollout={rollout}; "
                f"try --recurrence={rollout}."
            )
    if rollout % recurrence:
        divisors = [d for d in range(1, rollout + 1) if rollout % d == 0]
        below = max(d for d in divisors if d <= recurrence)
        above = min((d for d in divisors if d > recurrence), default=rollout)
        proposal = f"{below} or {above}" if above != below else str(below)
        raise UsageError(f"recurrence={recurrence} does not divide rollout={rollout}; try {proposal}.")
    if cfg.use_rnn and recurrence == 1:
        fix = f"--recurrence={rollout}" if rollout > 1 else "--rollout=32"
        raise UsageError(
            f"with recurrence=1 (rollout={rollout}) the memory learns nothing through time; try {fix}, or "
            "--use_rnn=False."
        )


def _check_batches(cfg: Config) -> None:
    if cfg.batch_size < 2:
        raise UsageError(
            f"batch_size={cfg.batch_size} has nothing to compare an advantage with; try {max(2, cfg.rollout)} or more."
        )
    if cfg.batch_size % cfg.rollout:
        raise UsageError(
            f"batch_size={cfg.batch_size} is not a multiple of rollout={cfg.rollout}; "
            f"try {multiples_near(cfg.batch_size, cfg.rollout)}."
        )


def _check_sampling(cfg: Config) -> None:
    splits, envs = cfg.worker_num_splits, cfg.num_envs_per_worker
    if not cfg.serial_mode and envs != "auto" and envs % splits:
        raise UsageError(
            f"num_envs_per_worker={envs} cannot be split into worker_num_splits={splits} equal groups; "
            f"try --num_envs_per_worker={multiples_near(envs, splits).replace(' or ', ' or --num_envs_per_worker=')}, "
            "or --worker_num_splits=1."
        )


def _check_schedule(cfg: Config) -> None:
    if cfg.lr_adaptive_min > cfg.lr_adaptive_max:
        raise UsageError(
            f"lr_adaptive_min={cfg.lr_adaptive_min:g} is above lr_adaptive_max={cfg.lr_adaptive_max:g}; exchange them."
        )


def _check_evaluation(cfg: Config) -> None:
    if cfg.save_best_metric == EVAL_REWARD and not cfg.eval_every_env_steps:
        raise UsageError(
            f"--save_best_metric={EVAL_REWARD} needs evaluations; add --eval_every_env_steps=100000, or leave it out."
        )
