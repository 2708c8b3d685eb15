import numpy as np
import pytest


class Sequences:
    """Random time-major columns [T, B] of a batch, with every kind of boundary, as float64 tensors."""

    def __init__(self, seed, T=12, B=40):
        import torch

        rng = np.random.default_rng(seed)
        tensor = torch.from_numpy
        self.T, self.B = T, B
        self.reward = tensor(rng.normal(size=(T, B)))
        self.value = tensor(rng.normal(size=(T + 1, B)))
        self.final_value = tensor(rng.normal(size=(T, B)))
        self.ratio = tensor(np.exp(rng.normal(size=(T, B))))
        terminated = np.zeros((T, B), bool)
        truncated = np.zeros((T, B), bool)
        valid = np.ones((T, B), bool)
        episode_start = np.zeros((T + 1, B), bool)
        for b in range(B):
            for t in range(T):
                if valid[t, b] and rng.random() < 0.25:
                    terminated[t, b] = rng.random() < 0.5
                    truncated[t, b] = not terminated[t, b] or rng.random() < 0.2
                    if rng.random() < 0.5:  # resets in the same step
                        episode_start[t + 1, b] = True
                    elif t + 1 < T:  # resets in the next step: one row that only resets
                        valid[t + 1, b] = False
                        if t + 2 <= T:
                            episode_start[t + 2, b] = True
                elif not terminated[t - 1, b] and not truncated[t - 1, b] and rng.random() < 0.15:
                    valid[t, b] = False  # an agent that was inactive for a step
        self.terminated, self.truncated = tensor(terminated), tensor(truncated)
        self.valid, self.episode_start = tensor(valid), tensor(episode_start)

    def columns(self):
        return (self.terminated, self.truncated, self.valid, self.episode_start, self.final_value)

    def pieces(self, b):
        """The valid rows of agent b as plain sequences: (rows, value after the last row)."""
        piece = []
        for t in range(self.T):
            if not self.valid[t, b]:
                continue
            piece.append(t)
            if self.terminated[t, b]:
                yield piece, 0.0
                piece = []
            elif self.truncated[t, b]:
                yield piece, float((self.final_value[t] if self.episode_start[t + 1, b] else self.value[t + 1])[b])
                piece = []
        if piece:
            yield piece, float(self.value[self.T, b])


@pytest.fixture(params=range(3))
def sequences(request):
    return Sequences(request.param)


# ---- a policy and what it collected ----


DEFAULTS = {
    # learner
    "seed": 7,
    "batch_size": 24,
    "num_batches_per_epoch": 2,
    "num_epochs": 1,
    "rollout": 6,
    "recurrence": 1,
    "shuffle_minibatches": False,
    "max_policy_lag": 1000,
    "gamma": 0.9,
    "gae_lambda": 0.8,
    "with_vtrace": False,
    "vtrace_rho": 1.0,
    "vtrace_c": 1.0,
    "ppo_clip_ratio": 0.1,
    "ppo_clip_value": 0.2,
    "value_loss_coeff": 0.5,
    "exploration_loss": "entropy",
    "exploration_loss_coeff": 0.01,
    "kl_loss_coeff": 0.0,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "lr_schedule": "constant",
    "lr_schedule_kl_threshold": 0.008,
    "lr_adaptive_min": 1e-6,
    "lr_adaptive_max": 1e-1,
    "adam_eps": 1e-6,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "max_grad_norm": 0.5,
    "train_for_env_steps": 10_000,
    "env_frameskip": 1,
    "summaries_use_frameskip": True,
    # model
    "normalize_input": True,
    "normalize_input_keys": None,
    "obs_subtract_mean": 0.0,
    "obs_scale": 1.0,
    "normalize_returns": True,
    "use_rnn": False,
    "rnn_type": "gru",
    "rnn_size": 5,
    "rnn_num_layers": 1,
    "nonlinearity": "tanh",
    "encoder_mlp_layers": [8],
    "encoder_conv_architecture": "convnet_simple",
    "encoder_conv_mlp_layers": [8],
    "decoder_mlp_layers": [],
    "actor_critic_share_weights": True,
    "policy_initialization": "orthogonal",
    "policy_init_gain": 1.0,
    "policy_head_init_gain": None,
    "adaptive_stddev": True,
    "initial_stddev": 1.0,
    "continuous_tanh_scale": 0.0,
}


def make_cfg(**changes):
    from sf_core.utils.attr_dict import AttrDict

    unknown = set(changes) - set(DEFAULTS)
    assert not unknown, unknown
    return AttrDict({**DEFAULTS, **changes})


def make_policy(cfg, observation_space=None, action_space=None, seed=1):
    """A real policy with running statistics that are not the identity."""
    from types import SimpleNamespace

    import torch
    from gymnasium import spaces

    from sf_core.model.actor_critic import make_actor_critic
    from sf_core.model.core import make_core
    from sf_core.model.decoder import make_decoder
    from sf_core.model.encoder import make_encoder
    from sf_core.model.factory import model_observation_space
    from sf_core.model.policy import Policy

    torch.manual_seed(seed)
    observation_space = observation_space or spaces.Dict({"obs": spaces.Box(-np.inf, np.inf, (3,), np.float32)})
    action_space = spaces.Discrete(3) if action_space is None else action_space
    factory = SimpleNamespace(
        make_model_encoder_func=make_encoder, make_model_core_func=make_core, make_model_decoder_func=make_decoder
    )
    actor_critic = make_actor_critic(factory, model_observation_space(observation_space), action_space, cfg)
    if actor_critic.returns_normalizer is not None:
        actor_critic.returns_normalizer.update(torch.tensor([1.0, 4.0, 2.5]))
    numeric = actor_critic.obs_normalizer.normalized_keys
    actor_critic.obs_normalizer.update({key: torch.randn(5, *observation_space[key].shape) for key in numeric})
    actor_critic.eval()
    return Policy(actor_critic, action_space=action_space, obs_space=observation_space)


def collect(policy, cfg, seed=0, ends=True, num_rollouts=None, sits_out=0.0):
    """Rollouts as the policy itself would have collected them in an env that draws everything at random.

    `sits_out` is how likely an agent sits out a step that ends nothing.
    """
    import torch

    from sf_core.rollout.train_batch import TrainBatch

    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    T = cfg.rollout
    B = num_rollouts or cfg.batch_size * cfg.num_batches_per_epoch // T
    observation = {}
    for key, space in policy.observation_space.spaces.items():
        space.seed(seed)
        observation[key] = np.stack([np.stack([space.sample() for _ in range(T + 1)]) for _ in range(B)])
    terminated = rng.random((B, T)) < 0.15 if ends else np.zeros((B, T), bool)
    truncated = (rng.random((B, T)) < 0.15) & ~terminated if ends else np.zeros((B, T), bool)
    valid = np.ones((B, T), bool)
    episode_start = np.zeros((B, T + 1), bool)
    same_step = rng.random((B, T)) < 0.5
    for b in range(B):
        for t in range(T):
            if not valid[b, t]:
                terminated[b, t] = truncated[b, t] = False
                episode_start[b, t + 1] = True
            elif terminated[b, t] or truncated[b, t]:
                if same_step[b, t]:
                    episode_start[b, t + 1] = True
                elif t + 1 < T:
                    valid[b, t + 1] = False
    inactive = np.zeros((B, T), bool)
    if sits_out:
        inactive = (rng.random((B, T)) < sits_out) & valid & ~terminated & ~truncated
        valid &= ~inactive
    sat_out = torch.from_numpy(inactive)
    tensors = {key: torch.from_numpy(x) for key, x in observation.items()}
    start = torch.from_numpy(episode_start)
    state = torch.from_numpy(rng.normal(size=(B, policy.rnn_size)).astype(np.float32)) * 0.1
    states, outputs = [], []
    for t in range(T):
        if t % cfg.recurrence == 0:
            states.append(state)
        state = state.masked_fill(start[:, t : t + 1], 0.0)
        output = policy.act_batch({key: x[:, t] for key, x in tensors.items()}, state, generator=generator)
        outputs.append(output)
        state = torch.where(sat_out[:, t : t + 1], state, output.rnn_state)
    states.append(state)
    return TrainBatch(
        observation=tensors,
        episode_start=start,
        rnn_state=torch.stack(states, 1),
        action={part: torch.stack([o.action[part] for o in outputs], 1) for part in outputs[0].action},
        action_logits=torch.stack([o.action_logits for o in outputs], 1),
        behaviour_log_prob=torch.stack([o.log_prob for o in outputs], 1),
        behaviour_value=torch.stack([o.value for o in outputs], 1),
        policy_version=torch.full((B, T), policy.policy_version),
        policy_id=-sat_out.to(torch.int32),
        reward=torch.from_numpy(rng.normal(size=(B, T)).astype(np.float32)),
        terminated=torch.from_numpy(terminated),
        truncated=torch.from_numpy(truncated),
        valid=torch.from_numpy(valid),
        final_value=torch.from_numpy(rng.normal(size=(B, T)).astype(np.float32)),
    )


@pytest.fixture
def bench():
    """The three functions above, for tests that cannot import this file."""
    from types import SimpleNamespace

    return SimpleNamespace(cfg=make_cfg, policy=make_policy, collect=collect)
