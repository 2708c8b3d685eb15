import dataclasses
import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.learner.checkpoint import Checkpointer
from sf_core.learner.nonfinite import BadBatches, TrainingDivergedError, load_bad_batch
from sf_core.learner.update import MAX_SKIPPED_IN_A_ROW, Learner
from sf_core.utils.errors import UsageError

NAN = float("nan")
RNN = {"use_rnn": True, "recurrence": 3}
KINDS = {
    "flat": {},
    "shuffled": {"shuffle_minibatches": True, "num_epochs": 2},
    "gru": {**RNN, "num_epochs": 2},
    "lstm, shuffled": {**RNN, "rnn_type": "lstm", "shuffle_minibatches": True},
    "vtrace": {"with_vtrace": True, "num_epochs": 2},
    "vtrace with gru": {**RNN, "with_vtrace": True},
    "separate": {"actor_critic_share_weights": False},
    "lamb, kl": {"optimizer": "lamb", "kl_loss_coeff": 0.1, "exploration_loss": "symmetric_kl"},
    "plain": {"normalize_returns": False, "normalize_input": False, "exploration_loss_coeff": 0.0},
}


def setup(bench, seed=0, collect_seed=0, ends=True, observation_space=None, action_space=None, **changes):
    cfg = bench.cfg(**changes)
    policy = bench.policy(cfg, observation_space, action_space)
    return cfg, policy, Learner(cfg, policy), bench.collect(policy, cfg, seed=collect_seed, ends=ends)


def snapshot(learner):
    """Every number that training may change, except counters."""
    state = learner.state()
    return {**state.model, **state.optimizer}


def assert_same(a, b):
    assert set(a) == set(b)
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def changed(batch, **fields):
    return dataclasses.replace(batch, **fields)


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


# ---- what an update is ----


def test_two_learners_with_one_seed_and_one_batch_end_with_identical_bits(bench, kind):
    results = []
    for _ in range(2):
        _, _, learner, batch = setup(bench, **kind)
        for _ in range(2):
            learner.train(batch)
        results.append(snapshot(learner))
    assert_same(*results)


def test_every_weight_moves_and_the_loss_terms_are_reported(bench, kind):
    _, policy, learner, batch = setup(bench, **kind)
    before = {name: p.detach().clone() for name, p in policy.actor_critic.named_parameters()}
    stats = learner.train(batch)
    assert all((p != before[name]).any() for name, p in policy.actor_critic.named_parameters())
    assert stats.skipped_updates == 0
    assert stats.loss == pytest.approx(
        stats.policy_loss + stats.value_loss + stats.exploration_loss + stats.kl_loss, abs=1e-5
    )
    assert all(math.isfinite(x) for x in stats.scalars().values())


@pytest.mark.parametrize("action_space", [spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)])
def test_importance_ratio_is_one_before_the_first_optimizer_step(bench, kind, action_space):
    single = {**kind, "num_batches_per_epoch": 1, "num_epochs": 1, "batch_size": 48}
    _, _, learner, batch = setup(bench, action_space=action_space, **single)
    stats = learner.train(batch)
    assert stats.ratio_min == pytest.approx(1, abs=1e-5)
    assert stats.ratio_max == pytest.approx(1, abs=1e-5)
    assert stats.kl_divergence_max == pytest.approx(0, abs=1e-6)
    assert stats.fraction_clipped == 0
    assert stats.value_delta_max == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "action_space", [spaces.Discrete(3), spaces.MultiDiscrete([2, 4]), spaces.MultiDiscrete([3, 3])]
)
def test_masks_are_the_same_for_acting_and_learning(bench, action_space):
    num_choices = int(np.sum(getattr(action_space, "nvec", action_space.n if hasattr(action_space, "n") else 0)))
    space = spaces.Dict(
        {
            "obs": spaces.Box(-1, 1, (3,), np.float32),
            "action_mask": spaces.MultiBinary(num_choices),
        }
    )
    _, _, learner, batch = setup(
        bench, observation_space=space, action_space=action_space, num_batches_per_epoch=1, kl_loss_coeff=1.0
    )
    mask = batch.observation["action_mask"]
    assert (mask == 0).any()
    assert (mask == 1).any()
    stats = learner.train(batch)
    assert (stats.ratio_min, stats.ratio_max) == pytest.approx((1, 1), abs=1e-5)
    assert stats.kl_divergence_max == pytest.approx(0, abs=1e-6)
    assert stats.num_optimizer_steps == 1


def test_the_batch_is_only_read(bench, kind):
    _, _, learner, batch = setup(bench, **kind)
    copies = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    copies = {k: {n: y.clone() for n, y in x.items()} if isinstance(x, dict) else x.clone() for k, x in copies.items()}
    learner.train(batch)
    for name, copied in copies.items():
        now = getattr(batch, name)
        for key in copied if isinstance(copied, dict) else [None]:
            assert torch.equal(now if key is None else now[key], copied if key is None else copied[key]), name


def test_on_policy_vtrace_of_the_first_epoch_is_ppo_with_lambda_one(bench):
    results = []
    for changes in ({"with_vtrace": True}, {"gae_lambda": 1.0}):
        _, _, learner, batch = setup(bench, **changes)
        learner.train(batch)
        results.append(snapshot(learner))
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name], rtol=0, atol=2e-4)


def test_vtrace_targets_are_made_anew_for_every_epoch(bench):
    _, policy, learner, batch = setup(bench, with_vtrace=True, num_epochs=2, num_batches_per_epoch=1)
    asked = []
    value_batch = policy.value_batch
    policy.value_batch = lambda *args: asked.append(value_batch(*args)) or asked[-1]
    learner.train(batch)
    assert len(asked) == 2
    assert not torch.equal(asked[0], asked[1])  # the second time with the weights of the first epoch


def test_the_bootstrap_value_of_a_fresh_episode_sees_no_old_state(bench):
    results = []
    for old_state in (0.0, 5.0):
        _, _, learner, batch = setup(bench, ends=False, **RNN)
        start, state = batch.episode_start.clone(), batch.rnn_state.clone()
        start[:, -1] = True
        state[:, -1] = old_state
        learner.train(changed(batch, episode_start=start, rnn_state=state))
        results.append(snapshot(learner))
    assert_same(*results)


def test_acting_after_an_iteration_is_in_evaluation_mode(bench):
    _, policy, learner, batch = setup(bench)
    modes = []
    evaluate = policy.evaluate
    policy.evaluate = lambda *args: modes.append(policy.actor_critic.training) or evaluate(*args)
    learner.train(batch)
    assert modes == [True, True]
    assert not policy.actor_critic.training


def test_dictionary_observations_with_images_and_numbers_are_learned_from(bench):
    space = spaces.Dict(
        {
            "image": spaces.Box(0, 255, (3, 36, 36), np.uint8),
            "obs": spaces.Box(-1, 1, (2,), np.float32),
            "which": spaces.Discrete(4),
        }
    )
    results = []
    for shuffled in (False, True):
        _, _, learner, batch = setup(bench, observation_space=space, shuffle_minibatches=shuffled)
        assert learner.train(batch).num_optimizer_steps == 2
        results.append(snapshot(learner))
    assert any(not torch.equal(results[0][name], results[1][name]) for name in results[0])


# ---- which rows count ----


def garbage(batch, rows):
    """The batch with NaN and nonsense in the given rows [B, T]."""

    def spoil(x, value):
        return torch.where(rows.reshape(*rows.shape, *(1,) * (x.ndim - 2)), torch.full_like(x, value), x)

    return changed(
        batch,
        action={part: spoil(x, NAN if x.is_floating_point() else 99) for part, x in batch.action.items()},
        action_logits=spoil(batch.action_logits, NAN),
        behaviour_log_prob=spoil(batch.behaviour_log_prob, NAN),
        reward=spoil(batch.reward, NAN),
        final_value=spoil(batch.final_value, NAN),
    )


def test_what_stands_in_rows_that_are_not_valid_changes_nothing(bench, kind):
    results = []
    for spoiled in (False, True):
        _, _, learner, batch = setup(bench, **kind)
        assert not batch.valid.all()
        if spoiled:
            batch = garbage(batch, ~batch.valid)
        assert learner.train(batch).skipped_updates == 0
        results.append(snapshot(learner))
    assert_same(*results)


def test_observations_that_are_not_finite_in_rows_that_are_not_valid_change_nothing(bench):
    results = []
    for spoiled in (False, True):
        _, _, learner, batch = setup(bench)
        rows = ~batch.valid
        if spoiled:
            obs = batch.observation["obs"].clone()
            obs[:, :-1][rows] = NAN
            batch = changed(batch, observation={"obs": obs})
        assert learner.train(batch).skipped_updates == 0
        results.append(snapshot(learner))
    assert_same(*results)


@pytest.mark.parametrize("num_valid", [0, 1])
def test_a_minibatch_with_no_or_one_valid_sample_changes_nothing(bench, num_valid):
    _, _, learner, batch = setup(
        bench, ends=False, num_batches_per_epoch=1, normalize_input=False, normalize_returns=False
    )
    valid = torch.zeros_like(batch.valid)
    valid.view(-1)[:num_valid] = True
    before = snapshot(learner)
    stats = learner.train(changed(batch, valid=valid))
    assert_same(before, snapshot(learner))
    assert (stats.num_optimizer_steps, stats.skipped_updates, learner.policy_version) == (0, 0, 0)
    assert learner.env_steps == num_valid
    assert "train/loss" not in stats.scalars()


def test_the_minibatches_beside_an_empty_one_still_count(bench):
    _, _, learner, batch = setup(bench, ends=False)
    valid = batch.valid.clone()
    valid[: len(valid) // 2] = False  # the first of two contiguous minibatches
    stats = learner.train(changed(batch, valid=valid))
    assert stats.num_optimizer_steps == 1
    assert stats.valid_fraction == 0.5


def test_stale_rows_are_masked_from_the_losses_but_counted_as_steps(bench):
    _, _, learner, batch = setup(bench, ends=False, max_policy_lag=3)
    learner.policy_version = 10
    version = torch.full_like(batch.policy_version, 8)
    version[0, :4] = 7  # lag 3: too old
    stats = learner.train(changed(batch, policy_version=version))
    assert stats.valid_fraction == pytest.approx(44 / 48)
    assert stats.agent_steps == learner.agent_steps == 48
    assert (stats.policy_lag_min, stats.policy_lag_max) == (2, 3)
    assert stats.policy_lag_mean == pytest.approx((44 * 2 + 4 * 3) / 48)
    assert learner.policy.actor_critic.returns_normalizer.count == 1 + 3 + 44


def test_too_many_stale_rows_are_a_warning_and_rows_that_nobody_acted_in_are_not(bench, caplog):
    _, _, learner, batch = setup(bench, ends=False, max_policy_lag=3)
    sat_out = torch.arange(batch.rollout) % 4 != 0
    policy_id = torch.where(sat_out, -1, batch.policy_id)
    learner.train(changed(batch, valid=batch.valid & ~sat_out, policy_id=policy_id))
    assert "transitions" not in caplog.text
    learner.policy_version = 10
    learner.train(batch)
    assert "Only 0 of 48 transitions are recent enough to train on (--max_policy_lag)." in caplog.text


def test_steps_are_valid_transitions_times_frame_skip(bench):
    _, _, learner, batch = setup(bench, env_frameskip=4)
    learner.train(batch)
    assert learner.agent_steps == int(batch.valid.sum())
    assert learner.env_steps == 4 * learner.agent_steps
    _, _, learner, batch = setup(bench, env_frameskip=4, summaries_use_frameskip=False)
    learner.train(batch)
    assert learner.env_steps == learner.agent_steps


# ---- running statistics ----


def test_statistics_grow_once_per_iteration_by_its_valid_rows(bench):
    _, policy, learner, batch = setup(bench, num_epochs=3)
    obs, returns = policy.actor_critic.obs_normalizer.running["obs"], policy.actor_critic.returns_normalizer
    old_mean, old_count = obs.mean.clone(), float(obs.count)
    learner.train(batch)
    rows = batch.observation["obs"][:, :-1][batch.valid].double()
    assert obs.count == old_count + len(rows)
    torch.testing.assert_close(obs.mean, (old_mean * old_count + rows.sum(0)) / (old_count + len(rows)))
    assert returns.count == 1 + 3 + len(rows)


def test_all_minibatches_of_an_iteration_see_the_statistics_that_acting_saw(bench):
    _, policy, learner, batch = setup(bench, num_epochs=3)
    seen = []
    evaluate = policy.evaluate

    def spy(*args):
        seen.append(float(policy.actor_critic.returns_normalizer.count))
        return evaluate(*args)

    policy.evaluate = spy
    learner.train(batch)
    assert seen == [4.0] * 6


def test_observations_are_normalised_once_per_iteration(bench):
    _, policy, learner, batch = setup(bench, num_epochs=3)
    calls = []
    normalize = policy.normalize
    policy.normalize = lambda observation: calls.append(1) or normalize(observation)
    learner.train(batch)
    assert len(calls) <= 2  # all rows once, and row T if the policy's own value_batch goes through it too


# ---- what is not finite ----


@pytest.mark.parametrize(
    ("field", "culprit"),
    [
        ("reward", "reward"),
        ("obs", 'observation["obs"]'),
        ("behaviour_log_prob", "log_prob"),
        ("behaviour_value", "value"),
    ],
)
def test_an_update_that_is_not_finite_is_skipped_counted_and_blamed(bench, caplog, field, culprit):
    _, _, learner, batch = setup(bench, num_batches_per_epoch=1)
    if field == "obs":
        obs = batch.observation["obs"].clone()
        obs[0, 2] = torch.inf
        obs[0, 3] = NAN
        spoiled = changed(batch, observation={"obs": obs}, valid=torch.ones_like(batch.valid))
    else:
        x = getattr(batch, field).clone()
        x[0, 2] = NAN
        spoiled = changed(batch, **{field: x}, valid=torch.ones_like(batch.valid))
    before = snapshot(learner)
    stats = learner.train(spoiled)
    after = snapshot(learner)
    assert (stats.num_optimizer_steps, stats.skipped_updates, learner.policy_version) == (0, 1, 0)
    assert stats.culprits == (culprit,)
    assert culprit in caplog.text
    # statistics learn from the finite rows, and the value head is rescaled with those of returns
    weights = [name for name in before if "normalizer" not in name and "critic_linear" not in name]
    assert_same({n: before[n] for n in weights}, {n: after[n] for n in weights})
    assert all(x.isfinite().all() for x in after.values())
    assert learner.train(batch).num_optimizer_steps == 1  # and the next batch is learned from
    assert all(x.isfinite().all() for x in snapshot(learner).values())


def test_one_broken_minibatch_does_not_stop_the_others_and_the_batch_is_kept(bench, tmp_path, caplog):
    _, _, learner, batch = setup(bench, ends=False)
    learner.bad_batches = BadBatches(tmp_path)
    reward = batch.reward.clone()
    reward[0, 0] = torch.inf  # in the first of two minibatches
    stats = learner.train(changed(batch, reward=reward))
    assert (stats.num_optimizer_steps, stats.skipped_updates) == (1, 1)
    assert math.isfinite(stats.loss)
    assert learner.policy_version == 1
    (kept,) = tmp_path.iterdir()
    assert str(kept) in caplog.text
    assert torch.equal(load_bad_batch(kept).reward, reward)


def test_a_finite_batch_that_breaks_in_the_network_is_blamed_on_the_network(bench):
    _, policy, learner, batch = setup(bench)
    with torch.no_grad():
        policy.actor_critic.critic_linear.weight.fill_(torch.inf)
    assert "value" in learner.train(batch).culprits


def test_a_run_that_cannot_make_a_finite_update_ends(bench):
    _, _, learner, batch = setup(bench, num_batches_per_epoch=1, num_epochs=MAX_SKIPPED_IN_A_ROW // 2)
    broken = changed(batch, reward=torch.full_like(batch.reward, NAN))
    learner.train(broken)
    learner.train(batch)  # one good iteration starts the count again
    learner.train(broken)
    with pytest.raises(TrainingDivergedError, match="reward"):
        learner.train(broken)


# ---- epochs and learning rate ----


def test_epochs_stop_when_the_policy_loss_stops_moving(bench):
    _, _, learner, batch = setup(bench, num_epochs=5, learning_rate=0.0)
    assert learner.train(batch).num_optimizer_steps == 2 * 2  # the second epoch equals the first
    _, _, learner, batch = setup(bench, num_epochs=5)
    assert learner.train(batch).num_optimizer_steps == 5 * 2


def test_linear_decay_falls_with_the_steps_and_ends_at_zero(bench):
    _, _, learner, batch = setup(
        bench, ends=False, lr_schedule="linear_decay", env_frameskip=4, train_for_env_steps=4 * 48 * 4
    )
    rates = [learner.train(batch).lr for _ in range(5)]  # 48 transitions of 4 frames each
    assert rates == pytest.approx([0.0075, 0.005, 0.0025, 0.0, 0.0])
    assert learner.optimizer.param_groups[0]["lr"] == 0.0


@pytest.mark.parametrize(("schedule", "corrections"), [("kl_adaptive_minibatch", 6), ("kl_adaptive_epoch", 3)])
def test_kl_adaptive_corrects_after_every_minibatch_or_epoch(bench, schedule, corrections):
    _, _, learner, batch = setup(
        bench, num_epochs=3, lr_schedule=schedule, lr_schedule_kl_threshold=100.0, learning_rate=1e-4
    )
    # the divergence is far below the threshold, so every correction multiplies by 1.5
    assert learner.train(batch).lr == pytest.approx(1e-4 * 1.5**corrections)


# ---- going on ----


@pytest.mark.parametrize("schedule", ["constant", "linear_decay", "kl_adaptive_epoch"])
def test_training_after_a_resume_equals_training_without_one(bench, tmp_path, kind, schedule):
    changes = {**kind, "lr_schedule": schedule}
    _, _, whole, batch = setup(bench, **changes)
    whole.train(batch)
    path = Checkpointer(tmp_path).save(whole.state(), {})
    whole.train(batch)

    cfg = bench.cfg(**changes)
    resumed = Learner(cfg, bench.policy(cfg, seed=99))
    assert resumed.restore(Checkpointer(tmp_path).load())
    assert path is not None
    resumed.train(batch)
    assert_same(snapshot(whole), snapshot(resumed))
    counters = ("policy_version", "env_steps", "agent_steps", "lr")
    assert [getattr(whole, name) for name in counters] == [getattr(resumed, name) for name in counters]
    assert resumed.policy.policy_version == resumed.policy_version


def test_a_learning_rate_given_anew_wins_over_the_saved_one(bench, tmp_path):
    adaptive = {"lr_schedule": "kl_adaptive_epoch", "lr_schedule_kl_threshold": 100.0}
    _, _, learner, batch = setup(bench, **adaptive)
    learner.train(batch)
    Checkpointer(tmp_path).save(learner.state(), {})
    checkpoint = Checkpointer(tmp_path).load()
    for changes, expected in (({}, 0.015), ({"learning_rate": 0.02}, 0.02), ({"lr_schedule": "constant"}, 0.01)):
        cfg = bench.cfg(**{**adaptive, **changes})
        resumed = Learner(cfg, bench.policy(cfg))
        resumed.restore(checkpoint)
        assert resumed.lr == resumed.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_a_checkpoint_of_another_model_is_refused_in_a_sentence(bench, tmp_path):
    _, _, learner, _ = setup(bench)
    Checkpointer(tmp_path).save(learner.state(), {})
    cfg = bench.cfg(encoder_mlp_layers=[9])
    with pytest.raises(UsageError, match="does not fit this model") as error:
        Learner(cfg, bench.policy(cfg)).restore(Checkpointer(tmp_path).load())
    assert "\n" not in str(error.value)


def test_state_is_a_copy(bench):
    _, _, learner, batch = setup(bench)
    state = learner.state()
    copies = {name: x.clone() for name, x in state.model.items()}
    learner.train(batch)
    assert_same(state.model, copies)


def test_numbers_are_reported_under_sample_factorys_tags(bench):
    _, _, learner, batch = setup(bench)
    scalars = learner.train(batch).scalars()
    tags = [
        "loss",
        "policy_loss",
        "value_loss",
        "exploration_loss",
        "kl_loss",
        "entropy",
        "kl_divergence",
        "kl_divergence_max",
        "ratio_mean",
        "ratio_min",
        "ratio_max",
        "fraction_clipped",
        "value_delta",
        "value_delta_max",
        "grad_norm",
        "lr",
        "value",
        "valids_fraction",
        "same_policy_fraction",
        "version_diff_min",
        "version_diff_avg",
        "version_diff_max",
        "num_sgd_steps",
        "adv_min",
        "adv_max",
        "adv_std",
        "max_abs_logprob",
        "skipped_updates",
        "act_min",
        "act_max",
        "adam_max_second_moment",
        "obs_running_mean",
        "obs_running_std",
        "returns_running_mean",
        "returns_running_std",
    ]
    assert {f"train/{tag}" for tag in tags} <= set(scalars)
    assert all(isinstance(x, float) for x in scalars.values())


def test_actions_moments_and_statistics_are_reported_as_they_are(bench):
    space = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))])
    _, policy, learner, batch = setup(bench, action_space=space)
    scalars = learner.train(garbage(batch, ~batch.valid)).scalars()
    actions = torch.cat([x[batch.valid].float().flatten() for x in batch.action.values()])
    assert (scalars["train/act_min"], scalars["train/act_max"]) == (float(actions.min()), float(actions.max()))
    moments = [x.max() for name, x in learner.state().optimizer.items() if name.startswith("exp_avg_sq.")]
    assert scalars["train/adam_max_second_moment"] == float(max(moments))
    returns = policy.actor_critic.returns_normalizer
    assert scalars["train/returns_running_mean"] == float(returns.mean)
    obs = policy.actor_critic.obs_normalizer.running["obs"]
    assert scalars["train/obs_running_std"] == pytest.approx(float(obs.var.sqrt().mean()), rel=1e-4)
