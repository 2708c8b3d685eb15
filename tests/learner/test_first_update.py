"""The first training iteration against a PPO written out by hand, without any function of the learner."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.learner.update import Learner

SPACES = {"discrete": spaces.Discrete(3), "box": spaces.Box(-1, 1, (2,), np.float32)}


def reference_ppo(cfg, actor_critic, batch):
    """Two epochs of two contiguous minibatches, sample by sample where it matters. Returns the weights it ends with."""
    model = copy.deepcopy(actor_critic)
    adam = torch.optim.Adam(model.parameters(), lr=cfg.learning_rate, eps=cfg.adam_eps, fused=False, foreach=False)
    obs_mean, obs_var = (getattr(model.obs_normalizer.running["obs"], name) for name in ("mean", "var"))
    ret = model.returns_normalizer
    ret_mean, ret_std = float(ret.mean), float((ret.var + 1e-5).sqrt())

    B, T = batch.reward.shape

    def step(b, t, state):
        """Logits and value of one row, and the state after it."""
        if batch.episode_start[b, t]:
            state = torch.zeros_like(state)
        x = ((batch.observation["obs"][b, t] - obs_mean) / (obs_var + 1e-5).sqrt()).clamp(-5, 5).float()
        core, new_state = model.forward_core(model.forward_head({"obs": x[None]}), state)
        out = model.forward_tail(core, values_only=False, sample_actions=False)
        if t < T and batch.policy_id[b, t] < 0:
            new_state = state  # the agent sat out
        return out["action_logits"][0], out["values"][0], new_state

    def forward(rows):
        """The distribution and the values of rows (b, t), from the stored state at each segment's start on."""
        logits, values = {}, {}
        for b, first in dict.fromkeys((b, t - t % cfg.recurrence) for b, t in rows):
            state = batch.rnn_state[b, first // cfg.recurrence][None]
            for t in range(first, first + cfg.recurrence):
                logits[b, t], values[b, t], state = step(b, t, state)
        of_rows, values = torch.stack([logits[row] for row in rows]), torch.stack([values[row] for row in rows])
        if of_rows.shape[-1] == 3:
            return torch.distributions.Categorical(logits=of_rows), values
        mean, log_std = of_rows.chunk(2, -1)
        return torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1), values

    with torch.no_grad():
        bootstrap = torch.stack([step(b, T, batch.rnn_state[b, -1][None])[1] for b in range(B)])
        bootstrap = bootstrap.clamp(-5, 5) * ret_std + ret_mean
    samples = []  # (obs, action, log_prob, old value, advantage, target) in the order of the batch
    for b in range(B):
        v = [*batch.behaviour_value[b].tolist(), float(bootstrap[b])]
        advantage, next_advantage, next_value = [0.0] * T, 0.0, v[T]
        for t in reversed(range(T)):
            if not batch.valid[b, t]:
                continue
            if batch.terminated[b, t]:
                next_value, next_advantage = 0.0, 0.0
            elif batch.truncated[b, t]:
                next_value = float(batch.final_value[b, t]) if batch.episode_start[b, t + 1] else v[t + 1]
                next_advantage = 0.0
            delta = float(batch.reward[b, t]) + cfg.gamma * next_value - v[t]
            advantage[t] = next_advantage = delta + cfg.gamma * cfg.gae_lambda * next_advantage
            next_value = v[t]
        for t in range(T):
            samples.append(
                (b, t, (v[t] - ret_mean) / ret_std, advantage[t], (advantage[t] + v[t] - ret_mean) / ret_std)
            )
    for _ in range(2):
        for half in (samples[: len(samples) // 2], samples[len(samples) // 2 :]):
            rows = [s for s in half if batch.valid[s[0], s[1]]]  # invalid rows are simply not there
            b, t = [s[0] for s in rows], [s[1] for s in rows]
            old_value, advantage, target = (
                torch.tensor([s[i] for s in rows]).clamp(*limits)
                for i, limits in ((2, (-5, 5)), (3, (-1e9, 1e9)), (4, (-5, 5)))
            )
            distribution, value = forward([sample[:2] for sample in rows])
            ratio = (distribution.log_prob(batch.action["action"][b, t]) - batch.behaviour_log_prob[b, t]).exp()
            advantage = (advantage - advantage.mean()) / advantage.std()
            clipped = ratio.clamp(1 / (1 + cfg.ppo_clip_ratio), 1 + cfg.ppo_clip_ratio)
            policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
            clipped_value = old_value + (value - old_value).clamp(-cfg.ppo_clip_value, cfg.ppo_clip_value)
            value_loss = torch.max((value - target) ** 2, (clipped_value - target) ** 2).mean()
            entropy = distribution.entropy().mean()
            adam.zero_grad()
            (policy_loss + cfg.value_loss_coeff * value_loss - cfg.exploration_loss_coeff * entropy).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.max_grad_norm)
            adam.step()
    # one update of the return statistics, and V in reward units stays where it is
    targets = torch.tensor([s[3] + v for s in samples if batch.valid[s[:2]] for v in [s[2] * ret_std + ret_mean]])
    n, c, delta = len(targets), float(ret.count), float(targets.double().mean()) - ret_mean
    new_mean = ret_mean + delta * n / (c + n)
    new_var = float(ret.var) * c + float(targets.double().var(correction=0)) * n + delta**2 * c * n / (c + n)
    new_std = (new_var / (c + n) + 1e-5) ** 0.5
    with torch.no_grad():
        model.critic_linear.weight.mul_(ret_std / new_std)
        model.critic_linear.bias.mul_(ret_std / new_std).add_((ret_mean - new_mean) / new_std)
    return dict(model.named_parameters())


def check_first_update(bench, space, seed=0, sits_out=0.0, ends=True, **changes):
    cfg = bench.cfg(num_epochs=2, **changes)
    policy = bench.policy(cfg, action_space=SPACES[space], seed=seed)
    batch = bench.collect(policy, cfg, seed=seed, ends=ends, sits_out=sits_out)
    assert batch.valid.all() == (not ends)  # with ends some rows only reset
    assert (batch.policy_id < 0).any() == (sits_out > 0)
    before = {name: p.detach().clone() for name, p in policy.actor_critic.named_parameters()}
    expected = reference_ppo(cfg, policy.actor_critic, batch)
    stats = Learner(cfg, policy).train(batch)
    assert stats.num_optimizer_steps == 4
    for name, parameter in policy.actor_critic.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=0, atol=1e-5)
        assert (parameter - before[name]).abs().max() > 1e-3  # the agreement is not that of two idle learners


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", [0, 1])
def test_first_update_equals_a_ppo_written_by_hand(bench, space, seed):
    check_first_update(bench, space, seed)


@pytest.mark.parametrize("space", SPACES)
def test_first_update_on_valid_rows_alone_does_too(bench, space):
    check_first_update(bench, space, ends=False)


@pytest.mark.parametrize("core", [{"rnn_type": "gru"}, {"rnn_type": "lstm", "rnn_num_layers": 2}], ids=str)
@pytest.mark.parametrize("sits_out", [0.0, 0.3])
def test_first_update_of_a_recurrent_policy_does_too_and_agents_may_sit_out(bench, core, sits_out):
    check_first_update(bench, "discrete", sits_out=sits_out, use_rnn=True, recurrence=3, **core)
