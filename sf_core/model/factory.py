"""Builds the network that a plan names.

In: the `ModelPlan` of a run, its configuration and the spaces. Out: an `ActorCritic`. The only file here that follows
refs to code of plugins and scripts, so the one that says whose code failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gymnasium import spaces

from sf_core.envs.spaces import is_action_mask, observation_spaces
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.core import ModelCore
from sf_core.model.decoder import Decoder
from sf_core.model.encoder import Encoder
from sf_core.plugins.plan import ComponentRef, ModelPlan, resolve_ref
from sf_core.plugins.script import global_model_factory as global_model_factory  # a face of the registering half
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import ComponentFailure, UsageError

__all__ = ["ModelError", "ModelFactory", "build_actor_critic", "global_model_factory", "model_observation_space"]


class ModelError(ComponentFailure):
    """The code of a model component raised; the message says whose it is."""


class ModelFactory:
    """Makes the parts that a plan names; actor-critics are given one."""

    def __init__(self, plan: ModelPlan) -> None:
        self.plan = plan

    def make_model_encoder_func(self, cfg: AttrDict, obs_space: spaces.Dict) -> Encoder:
        """The chosen encoder for flat observations.

        Raises:
            UsageError: the encoder says of itself that it does not take these.
        """
        chosen = self.plan.encoder
        with _attributed("encoder", chosen):
            if chosen.accepts and not resolve_ref(chosen.accepts)(obs_space):
                found = ", ".join(f"{key} {space.shape}" for key, space in obs_space.spaces.items())
                raise UsageError(
                    f"encoder {chosen.qualified} does not take these observations ({found}); choose another --encoder."
                )
            encoder: Encoder = _sized("encoder", chosen, chosen.make(cfg, obs_space))
        return encoder

    def make_model_core_func(self, cfg: AttrDict, input_size: int) -> ModelCore:
        """The chosen core for encoder outputs of `input_size`."""
        with _attributed("core", self.plan.core):
            core: ModelCore = _sized("core", self.plan.core, self.plan.core.make(cfg, input_size))
        return core

    def make_model_decoder_func(self, cfg: AttrDict, size: int) -> Decoder:
        """The chosen decoder for core outputs of `size`."""
        with _attributed("decoder", self.plan.decoder):
            decoder: Decoder = _sized("decoder", self.plan.decoder, self.plan.decoder.make(cfg, size))
        return decoder


def build_actor_critic(
    plan: ModelPlan, cfg: AttrDict, obs_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> ActorCritic:
    """The network that `plan` names, on the CPU.

    Args:
        plan: components, resolved.
        cfg: the configuration of the run.
        obs_space: of one agent, nested or flat; the network sees it flat and without action masks.
        action_space: of one agent.

    Raises:
        ModelError: the code of a component raised; names it and its plugin.
        UsageError: a component refused the configuration or is not what it should be.
    """
    available = {
        "cfg": cfg,
        "obs_space": model_observation_space(obs_space),
        "action_space": action_space,
        "model_factory": ModelFactory(plan),
    }
    with _attributed("actor-critic", plan.actor_critic):
        factory = plan.actor_critic.resolve()
        actor_critic = _call_by_name(factory, available, dict(plan.actor_critic.params))
    if not isinstance(actor_critic, ActorCritic):
        raise UsageError(
            f"actor-critic {plan.actor_critic.name!r} (plugin {plan.actor_critic.plugin}) made a "
            f"{type(actor_critic).__name__}; it must be a subclass of sf_core.model.actor_critic.ActorCritic"
        )
    return actor_critic


def model_observation_space(obs_space: spaces.Space[Any]) -> spaces.Dict:
    """What the network is given of an observation space: a flat Dict, without action masks.

    Raises:
        UsageError: nothing is left to act on.
    """
    leaves = [(name, leaf) for name, leaf in observation_spaces(obs_space).items() if not is_action_mask(name)]
    if not leaves:
        raise UsageError("the observation is nothing but an action mask; an env must return something to act on")
    return spaces.Dict(leaves)


def _call_by_name(factory: Callable[..., Any], available: dict[str, Any], params: dict[str, Any]) -> Any:
    """Hand `factory` what its parameters are called, or Sample Factory's three by position."""
    parameters = inspect.signature(factory).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return factory(**available, **params)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty and p.name not in params]
    if len(required) == 3 and any(p.name not in available for p in required):
        return factory(available["cfg"], available["obs_space"], available["action_space"], **params)
    asked = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return factory(
        **{name: value for name, value in available.items() if name in asked and name not in params}, **params
    )


def _sized(what: str, ref: ComponentRef, module: Any) -> Any:
    """Refuse a part that forgot to say how large its output is, before a layer of that size is made."""
    try:
        size = int(module.get_out_size())
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        size = -1
    if size < 1:
        raise UsageError(
            f"{what} {ref.name!r} (plugin {ref.plugin}) does not say how large its output is; "
            "its get_out_size() must return a positive number"
        )
    return module


@contextmanager
def _attributed(what: str, ref: ComponentRef) -> Iterator[None]:
    try:
        yield
    except (UsageError, ModelError):
        raise  # says already what to do, or whose it is
    except Exception as error:
        message = " ".join(str(error).split())
        raise ModelError(
            f"{what} {ref.name!r} (plugin {ref.plugin}) failed: {type(error).__name__}: {message}"
        ) from error
