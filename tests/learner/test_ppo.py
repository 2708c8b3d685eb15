"""Which terms the loss of a minibatch is made of."""

import pytest
from gymnasium import spaces

from sf_core.learner.update import Learner

SPACES = {
    "discrete": spaces.MultiDiscrete([2, 3]),
    "both": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
    "box": spaces.Box(-1, 1, (2,)),
}


@pytest.mark.parametrize("space", SPACES)
def test_symmetric_kl_is_for_the_discrete_parts_of_an_action_and_entropy_for_the_others(bench, space):
    flags = {"exploration_loss_coeff": 0.5, "num_batches_per_epoch": 1, "batch_size": 48}
    cfg = bench.cfg(exploration_loss="symmetric_kl", **flags)
    policy = bench.policy(cfg, action_space=SPACES[space])
    batch = bench.collect(policy, cfg, ends=False)
    rows = {key: x[:, :-1].flatten(0, 1)[:, None] for key, x in policy.normalize(batch.observation).items()}
    distribution = policy.evaluate(
        rows,
        batch.rnn_state[:, :1].expand(-1, cfg.rollout, -1).flatten(0, 1),
        batch.episode_start[:, :-1].reshape(-1, 1),
        {part: x.flatten(0, 1)[:, None] for part, x in batch.action.items()},
    ).distribution
    symmetric_kl = float(distribution.symmetric_kl_with_uniform().detach().mean())
    box_entropy = float(distribution.box_entropy().detach().mean())
    stats = Learner(cfg, policy).train(batch)
    assert stats.exploration_loss == pytest.approx(0.5 * (symmetric_kl - box_entropy), rel=1e-4)
    if space == "box":  # the same as with --exploration_loss=entropy
        assert stats.exploration_loss == pytest.approx(-0.5 * stats.entropy, rel=1e-5)
    else:
        assert symmetric_kl > 0
