from collections.abc import Callable
from typing import Any

import pytest
import torch

from sf_core.model.factory import build_actor_critic
from sf_core.model.policy import Policy
from sf_core.plugins.plan import ComponentRef, ModelPlan
from sf_core.utils.attr_dict import AttrDict

DEFAULTS: dict[str, Any] = {
    "encoder_mlp_layers": [16, 8],
    "encoder_conv_architecture": "convnet_simple",
    "encoder_conv_mlp_layers": [32],
    "use_rnn": False,
    "rnn_size": 6,
    "rnn_type": "gru",
    "rnn_num_layers": 1,
    "decoder_mlp_layers": [],
    "nonlinearity": "elu",
    "policy_initialization": "orthogonal",
    "policy_init_gain": 1.0,
    "policy_head_init_gain": None,
    "actor_critic_share_weights": True,
    "adaptive_stddev": True,
    "continuous_tanh_scale": 0.0,
    "initial_stddev": 1.0,
    "obs_subtract_mean": 0.0,
    "obs_scale": 1.0,
    "normalize_input": True,
    "normalize_input_keys": None,
    "normalize_returns": True,
}
FACTORIES = {
    "actor_critic": "sf_core.model.actor_critic:make_actor_critic",
    "encoder": "sf_core.model.encoder:make_encoder",
    "core": "sf_core.model.core:make_core",
    "decoder": "sf_core.model.decoder:make_decoder",
}


def make_cfg(**changes: Any) -> AttrDict:
    assert not set(changes) - set(DEFAULTS), changes
    return AttrDict({**DEFAULTS, **changes})


def make_plan(**factories: Any) -> ModelPlan:
    """The built-in components, or other factories for some of them."""
    return ModelPlan(
        **{kind: ComponentRef(kind, "test", factories.get(kind, factory)) for kind, factory in FACTORIES.items()}
    )


def make_policy(obs_space: Any, action_space: Any, factories: Any = None, **changes: Any) -> Policy:
    plan = make_plan(**(factories or {}))
    return Policy(build_actor_critic(plan, make_cfg(**changes), obs_space, action_space), action_space, obs_space)


@pytest.fixture(autouse=True)
def _one_thread_and_a_fixed_seed():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cfg_of() -> Callable[..., AttrDict]:
    return make_cfg


@pytest.fixture
def plan_of() -> Callable[..., ModelPlan]:
    return make_plan


@pytest.fixture
def policy_of() -> Callable[..., Policy]:
    return make_policy
