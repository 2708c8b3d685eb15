"""The learner: one training iteration from batch to newer policy.

In: a `TrainBatch`. Out: changed weights in the policy it was given, and `UpdateStats`. Knows neither where batches come
from nor who uses the weights next; formulas live in the files it calls.

Sample Factory's learner (`learner.py`) with these deliberate differences. Statistics of observations and returns change
once per iteration, after its last minibatch and from valid rows only, so that acting and learning see the same numbers,
and the value head is rescaled with them, so that no value moves because its unit does.
The learning rate is not scaled by the fraction of valid samples: every loss is a mean over valid samples already, and a
smaller step on top would count the missing ones twice. Transitions, not rows, are counted as steps. Updates that are
not finite are skipped. On resume the command line's learning rate and optimizer settings win.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sf_core.learner.checkpoint import LearnerState
from sf_core.learner.checkpoint_folder import Checkpoint
from sf_core.learner.inner_state import inner_state
from sf_core.learner.minibatches import minibatch_selections
from sf_core.learner.nonfinite import BadBatches, TrainingDivergedError, blame_update, find_culprits
from sf_core.learner.optimizer import (
    clip_gradients,
    guarded_step,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from sf_core.learner.popart import values_preserved
from sf_core.learner.ppo import Coefficients, minibatch_loss
from sf_core.learner.prepare import make_targets, prepare_segments, to_head_units
from sf_core.learner.random_state import capture_random_state, restore_random_state
from sf_core.learner.sample_counts import LagSpread
from sf_core.learner.schedules import kl_adaptive, linear_decay
from sf_core.learner.segments import Segments, select_rows, to_segments
from sf_core.learner.targets import Targets
from sf_core.learner.update_stats import (
    MinibatchRecord,
    UpdateStats,
    action_range,
    describe_minibatches,
    mean_of_applied,
    reduce_minibatch_stats,
)
from sf_core.learner.validity import Validity, count_samples, validity
from sf_core.model.policy import Policy
from sf_core.rollout.train_batch import TrainBatch
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError
from sf_core.utils.log import log

__all__ = ["Learner", "UpdateStats"]

MIN_POLICY_LOSS_CHANGE = 1e-6  # between epochs; below it the remaining epochs are left out (Sample Factory)
MAX_SKIPPED_IN_A_ROW = 100  # updates; a run that cannot make a finite one is over
LOSS_ALARM = 30.0
KL_ALARM = 100.0


class Learner:
    """Improves one policy.

    Attributes:
        policy_version: optimizer steps so far; skipped ones do not count.
        env_steps: valid transitions times frame skip (what `--train_for_env_steps` counts).
        agent_steps: valid transitions.
        lr: learning rate of the next iteration.
        bad_batches: where batches go whose update was not finite; None keeps none.
    """

    def __init__(self, cfg: AttrDict, policy: Policy, *, policy_id: int = 0) -> None:
        self.cfg = cfg
        self.policy = policy
        self.policy_id = policy_id
        self.policy_version = int(policy.policy_version)
        self.env_steps = 0
        self.agent_steps = 0
        self._params = [p for p in policy.actor_critic.parameters() if p.requires_grad]
        self._param_names: dict[Tensor, str] = {p: name for name, p in policy.actor_critic.named_parameters()}
        self._coefficients = Coefficients.from_cfg(cfg)
        self._frame_skip = int(cfg.env_frameskip) if cfg.summaries_use_frameskip else 1
        # A stream of its own: seeding every generator of a run alike would make them repeat each other.
        self._generator = torch.Generator().manual_seed((int(cfg.seed or 0) + 0x9E3779B9) % 2**63)
        self._skipped_in_a_row = 0
        self.bad_batches: BadBatches | None = None
        self.lr = float(cfg.learning_rate)
        self.optimizer = make_optimizer(
            self._params,
            name=cfg.optimizer,
            lr=self.lr,
            betas=(cfg.adam_beta1, cfg.adam_beta2),
            eps=cfg.adam_eps,
        )

    def train(self, batch: TrainBatch) -> UpdateStats:
        """One training iteration: all epochs over one dataset of B rollouts of T steps.

        The batch is only read. The slots it views may be released when this returns.

        Raises:
            TrainingDivergedError: too many updates in a row were not finite. The weights are those of the last finite
            one.
        """
        cfg, lr = self.cfg, self.lr
        masks = validity(
            batch.valid,
            batch.policy_id,
            batch.policy_version,
            own_policy_id=self.policy_id,
            learner_version=self.policy_version,
            max_lag=cfg.max_policy_lag,
        )
        self.policy.actor_critic.train()
        try:
            segments = prepare_segments(cfg, self.policy, batch, masks)
            targets = make_targets(cfg, self.policy, batch, segments, masks)
            records: list[MinibatchRecord] = []
            previous_loss = None
            for epoch in range(cfg.num_epochs):
                if cfg.with_vtrace and epoch:
                    targets = make_targets(cfg, self.policy, batch, segments, masks)
                of_epoch = self._run_epoch(segments, targets)
                records += of_epoch
                if epoch + 1 == cfg.num_epochs:
                    break
                epoch_loss = mean_of_applied(of_epoch, MinibatchRecord.policy_loss)
                if previous_loss is not None and abs(epoch_loss - previous_loss) < MIN_POLICY_LOSS_CHANGE:
                    break
                previous_loss = epoch_loss
        finally:
            self.policy.actor_critic.eval()
        # described once, since for small minibatches the numbers cost as much as the gradient
        table = describe_minibatches(records, cfg.ppo_clip_ratio, segments.action_logits.abs().amax())
        return self._finish(batch, masks, targets, table, lr)

    def state(self, generators: Mapping[str, torch.Generator] | None = None) -> LearnerState:
        """Everything needed to go on from here. The tensors are copies.

        `generators` are those of other parts of the run whose state belongs in the checkpoint.
        """
        return LearnerState(
            model=self.policy.weights(),
            optimizer={
                name: x.detach().cpu().clone()
                for name, x in optimizer_tensors(self.optimizer, self._param_names).items()
            },
            facts={
                "policy_version": self.policy_version,
                "env_steps": self.env_steps,
                "agent_steps": self.agent_steps,
                "lr": self.lr,
                "schedule": {"name": self.cfg.lr_schedule, "initial_lr": float(self.cfg.learning_rate)},
                "random_state": capture_random_state({**(generators or {}), "minibatches": self._generator}),
            },
        )

    def restore(self, checkpoint: Checkpoint, generators: Mapping[str, torch.Generator] | None = None) -> bool:
        """Go on where `checkpoint` was saved: weights, statistics, optimizer, counters, schedule, random states.

        Learning rate and optimizer settings are those of the configuration. Only an adaptive schedule goes on with the
        learning rate it had reached, and only while neither the schedule nor `--learning_rate` was changed.

        Returns:
            True where every random state was restored too.

        Raises:
            UsageError: the checkpoint belongs to another model.
        """
        try:
            self.policy.load_weights(checkpoint.model)
        except UsageError as error:
            raise UsageError(
                f"Checkpoint {checkpoint.path} does not fit this model ({error}); "
                "resume with the run's own model and environment options or start another --experiment."
            ) from error
        restore_optimizer(self.optimizer, self._param_names, checkpoint.optimizer)
        facts = checkpoint.facts
        self.policy_version = self.policy.policy_version = int(facts["policy_version"])
        self.env_steps = int(facts["env_steps"])
        self.agent_steps = int(facts["agent_steps"])
        same = facts["schedule"] == {"name": self.cfg.lr_schedule, "initial_lr": float(self.cfg.learning_rate)}
        self._set_lr(float(facts["lr"]) if same else float(self.cfg.learning_rate))
        self._decay_lr()
        return restore_random_state(facts["random_state"], {**(generators or {}), "minibatches": self._generator})

    def _run_epoch(self, segments: Segments, targets: Targets) -> list[MinibatchRecord]:
        """One pass over all segments; minibatches that have not enough valid samples are left out."""
        advantage = to_segments(targets.advantage.t(), self.cfg.recurrence)  # [G, L]
        value_target = to_segments(to_head_units(self.policy, targets.value_target).t(), self.cfg.recurrence)
        selections = minibatch_selections(
            segments.num_segments,
            self.cfg.num_batches_per_epoch,
            self._generator if self.cfg.shuffle_minibatches else None,
            segments.episode_start.device,
        )
        records = []
        for selection, count in zip(selections, segments.count_valid(selections), strict=True):
            if count >= 2:  # with one valid sample there is no deviation of advantages, with none no loss
                records.append(
                    self._run_minibatch(
                        segments.select(selection),
                        select_rows(advantage, selection),
                        select_rows(value_target, selection),
                    )
                )
        if records and self.cfg.lr_schedule == "kl_adaptive_epoch":
            self._adapt_lr(mean_of_applied(records, MinibatchRecord.kl))
        return records

    def _run_minibatch(self, minibatch: Segments, advantage: Tensor, value_target: Tensor) -> MinibatchRecord:
        evaluation = self.policy.evaluate(
            minibatch.observation,
            minibatch.rnn_state,
            minibatch.episode_start,
            minibatch.action,
            minibatch.inactive,
        )
        terms, samples = minibatch_loss(evaluation, minibatch, advantage, value_target, self._coefficients)
        loss = terms.total
        for param in self._params:
            param.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = clip_gradients(self._params, self.cfg.max_grad_norm)
        finite = loss.detach().isfinite() & grad_norm.isfinite()
        guarded_step(self.optimizer, finite)
        record = MinibatchRecord.of(terms, loss, grad_norm, finite, samples)
        if self.cfg.lr_schedule == "kl_adaptive_minibatch":
            self._adapt_lr(float(record.kl()))
        return record

    def _finish(self, batch: TrainBatch, masks: Validity, targets: Targets, table: Tensor, lr: float) -> UpdateStats:
        """Count, update statistics, move the schedule on, report.

        `table` has a row per minibatch (`describe_minibatches`); `lr` is what the iteration began with.
        """
        reduced = reduce_minibatch_stats(table)
        num_steps = int(reduced.pop("applied"))
        skipped = len(table) - num_steps
        culprits: tuple[str, ...] = ()
        if skipped:
            culprits = find_culprits(batch, masks.train) or blame_update(table)
            log.warning(
                "%d of %d updates skipped: %s not finite.", skipped, skipped + num_steps, " and ".join(culprits)
            )
            kept = self.bad_batches and self.bad_batches.keep(batch, self.policy_version, culprits)
            if kept:
                log.warning("The batch is kept in %s", kept)
        self._update_statistics(batch, masks.train, targets)

        num_rows = batch.num_transitions
        samples = count_samples(batch.policy_id, masks, own_policy_id=self.policy_id)
        lag = LagSpread.of(samples.policy_lag)
        num_real = samples.trained + samples.stale
        if samples.trained * 2 < num_real:
            log.warning(
                "Only %d of %d transitions are recent enough to train on (--max_policy_lag).", samples.trained, num_real
            )
        if abs(reduced["loss"]) > LOSS_ALARM or reduced["kl_divergence_max"] > KL_ALARM:
            log.warning("Loss %.3g, largest KL divergence %.3g.", reduced["loss"], reduced["kl_divergence_max"])
        self.policy_version += num_steps
        self.policy.policy_version = self.policy_version
        self.agent_steps += num_real
        self.env_steps += num_real * self._frame_skip
        self._decay_lr()
        self._skipped_in_a_row = 0 if num_steps or not skipped else self._skipped_in_a_row + skipped
        if self._skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise TrainingDivergedError(
                f"{self._skipped_in_a_row} updates in a row were skipped because {' and '.join(culprits)} were not "
                "finite; the last good checkpoint is intact. Check the environment, or lower --learning_rate."
            )
        act_min, act_max = action_range(batch.action, masks.train)
        return UpdateStats(
            **reduced,
            lr=self.lr,
            actual_lr=lr,
            policy_lag_min=lag.minimum,
            policy_lag_mean=lag.mean,
            policy_lag_max=lag.maximum,
            valid_fraction=samples.trained / num_rows,
            same_policy_fraction=1 - (samples.inactive + samples.other_policy) / num_rows,
            num_optimizer_steps=num_steps,
            skipped_updates=skipped,
            agent_steps=num_real,
            act_min=act_min,
            act_max=act_max,
            culprits=culprits,
            samples=samples,
            inner=inner_state(self.policy.actor_critic, self.optimizer),
        )

    def _update_statistics(self, batch: TrainBatch, train: Tensor, targets: Targets) -> None:
        """Add this iteration's valid rows to the running statistics, but nothing that is not finite."""
        actor_critic = self.policy.actor_critic
        observation = {key: x[:, :-1] for key, x in batch.observation.items()}
        finite = train
        for x in observation.values():
            if x.is_floating_point():
                finite = finite & x.isfinite().flatten(2).all(-1) if x.ndim > 2 else finite & x.isfinite()
        actor_critic.obs_normalizer.update(observation, finite)
        if actor_critic.returns_normalizer is not None:
            value_target = targets.value_target.t()  # [B, T]
            with values_preserved(actor_critic):
                actor_critic.returns_normalizer.update(value_target, train & value_target.isfinite())

    def _set_lr(self, lr: float) -> None:
        self.lr = lr
        set_learning_rate(self.optimizer, lr)

    def _decay_lr(self) -> None:
        if self.cfg.lr_schedule == "linear_decay":
            self._set_lr(linear_decay(self.cfg.learning_rate, self.env_steps, self.cfg.train_for_env_steps))

    def _adapt_lr(self, kl: float) -> None:
        cfg = self.cfg
        self._set_lr(
            kl_adaptive(
                self.lr,
                kl,
                threshold=cfg.lr_schedule_kl_threshold,
                lowest=cfg.lr_adaptive_min,
                highest=cfg.lr_adaptive_max,
            )
        )
