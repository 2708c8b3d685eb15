"""A trained policy from a checkpoint.

In: a path. Out: a `Policy`. The components are looked up by name among what is installed or registered in this process;
references to code that may stand in the files are never followed. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from sf_core.cfg.options import core_defaults
from sf_core.envs.spaces import space_from_json
from sf_core.model.checkpoint_files import SavedPolicy, load_saved_policy
from sf_core.model.device import choose_device
from sf_core.model.factory import build_actor_critic
from sf_core.model.policy import Policy
from sf_core.plugins.plan import ComponentRef, ModelPlan
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

_Policy = TypeVar("_Policy", bound=Policy)


def load_policy(cls: type[_Policy], path: str | Path, device: str, kind: str, plugins: Sequence[str]) -> _Policy:
    """What `Policy.load` does; see there."""
    return policy_of(cls, load_saved_policy(path, kind), device, plugins)


def policy_of(cls: type[_Policy], saved: SavedPolicy, device: str, plugins: Sequence[str]) -> _Policy:
    """The policy that a checkpoint holds, built from components of the names that it has."""
    return policy_from(cls, saved, _plan_of(saved, plugins), device)


def policy_from(cls: type[_Policy], saved: SavedPolicy, plan: ModelPlan, device: str) -> _Policy:
    """The policy that a checkpoint holds, built from components that are resolved already."""
    with torch.inference_mode(False):  # whatever the caller is in the middle of, these are ordinary tensors
        observation_space, action_space = (
            space_from_json(_fact(saved, name)) for name in ("observation_space", "action_space")
        )
        cfg = AttrDict({**core_defaults(), **_fact(saved, "config")})  # an older run lacks what was added since
        policy = cls(
            build_actor_critic(plan, cfg, observation_space, action_space),
            action_space,
            observation_space,
            policy_version=saved.facts["policy_version"],
            device=choose_device(device),
            env_name=str(saved.facts.get("env", "")),
        )
        policy.load_weights(saved.weights)
    policy.checkpoint = saved.path
    return policy


def _fact(saved: SavedPolicy, name: str) -> dict[str, Any]:
    value = saved.facts.get(name)
    if not isinstance(value, dict):
        raise UsageError(f"checkpoint {saved.path} does not say its {name}; it was not written by this program")
    return value


def _plan_of(saved: SavedPolicy, plugins: Sequence[str]) -> ModelPlan:
    """The components that a checkpoint names, as they are installed or registered now."""
    from sf_core.plugins.manager import get_manager  # brings pluggy; only loading needs it

    manager = get_manager(tuple(plugins))
    names, refs = _fact(saved, "components"), {}
    for kind in ("actor_critic", "encoder", "core", "decoder"):
        name = str(names.get(kind, "auto"))
        try:
            spec = manager.resolve(kind, name)
            manager.check_available(spec)
        except UsageError as error:
            raise UsageError(
                f"checkpoint {saved.path} was trained with the {kind.replace('_', '-')} {name!r}, which is not here: "
                f"{error}. If a script registered it, register it again before loading "
                "(import that script, or pass -p my_script.py)"
            ) from error
        refs[kind] = ComponentRef(spec.name, spec.plugin, spec.factory, spec.params)
    return ModelPlan(**refs)
