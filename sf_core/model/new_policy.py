"""An untrained policy, as a run is configured: the beginning of every engine and of every process that acts or learns.

In: the resolved components, the configuration, the spaces of one agent. Out: a `Policy` on the device that was chosen.
"""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from sf_core.model.device import choose_device
from sf_core.model.factory import build_actor_critic
from sf_core.model.forward import ForwardOptions
from sf_core.model.policy import Policy
from sf_core.plugins.plan import ModelPlan
from sf_core.utils.attr_dict import AttrDict


def new_policy(
    plan: ModelPlan,
    cfg: AttrDict,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    policy_version: int = 0,
) -> Policy:
    """Build the network that `plan` names and put it where `--device` says.

    Raises:
        ModelError: the code of a component raised; names it and its plugin.
        UsageError: a component refused the configuration, or this machine cannot do what was asked for.
    """
    return Policy(
        build_actor_critic(plan, cfg, observation_space, action_space),
        action_space,
        observation_space,
        policy_version=policy_version,
        device=choose_device(cfg.device),
        forward_options=ForwardOptions.from_cfg(cfg),
    )
