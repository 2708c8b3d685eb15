"""The whole network: encoder, core, decoder, and the heads for value and action.

In: normalised observations `{key: [N, *space]}` and recurrent states `[N, H]`. Out: a dict with `values` `[N]` (in the
units of the value head), `action_logits` `[N, P]`, `new_rnn_states` `[N, H]`, and, where asked for, `actions` and
`log_prob_actions`. The running statistics are part of it. This file knows neither rollouts nor losses.

A custom actor-critic subclasses `ActorCritic` and defines `forward_head`, `forward_core` and `forward_tail`, or
`forward` alone; with `forward` alone training steps through a segment one time step after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

from sf_core.envs.spaces import is_action_mask
from sf_core.model.action_distribution import ActionDistribution
from sf_core.model.action_parameterization import (
    ActionParameterization,
    ActionParameterizationFixedStddev,
    make_action_parameterization,
)
from sf_core.model.core import ModelCore, rnn_state_size, run_sequence
from sf_core.model.decoder import Decoder
from sf_core.model.encoder import Encoder, asks_for_types
from sf_core.model.layers import initialize_weights, model_device
from sf_core.model.normalizer import ObservationNormalizer, ReturnsNormalizer
from sf_core.utils.attr_dict import AttrDict

if TYPE_CHECKING:
    from sf_core.model.factory import ModelFactory

_PARTS = ("forward_head", "forward_core", "forward_tail")


class ActorCritic(nn.Module):
    """Base of every actor-critic.

    Attributes:
        encoders: of the subclass, for whoever wants to look at them.
        obs_normalizer: raw observations to normalised ones.
        returns_normalizer: units of the value head to reward units and back; None without `--normalize_returns`.
        last_action_distribution: what the last `forward_tail` described.
        sampling_generator: what `_maybe_sample_actions` draws from, set for the time of a step; None is torch's own.
    """

    def __init__(self, obs_space: spaces.Dict, action_space: spaces.Space[Any], cfg: AttrDict) -> None:
        super().__init__()
        self.cfg = cfg
        self.obs_space = obs_space
        self.action_space = action_space
        self.encoders: list[Encoder] = []
        self.obs_normalizer = ObservationNormalizer(obs_space, cfg)
        self.returns_normalizer = ReturnsNormalizer() if cfg.normalize_returns else None
        self.last_action_distribution: ActionDistribution | None = None
        self.sampling_generator: torch.Generator | None = None

    # ---- for subclasses ----

    def get_action_parameterization(self, size: int) -> nn.Module:
        """The policy head: `forward(x [N, size], action_mask=None)` returns `(action_logits [N, P], distribution)`."""
        return make_action_parameterization(self.cfg, size, self.action_space)

    def initialize_weights(self, layer: nn.Module) -> None:
        """Initialise one layer as `--policy_initialization` says; use `self.apply(self.initialize_weights)`."""
        scheme, head_gain = self.cfg.policy_initialization, self.cfg.policy_head_init_gain
        initialize_weights(layer, scheme, float(self.cfg.policy_init_gain))
        # `apply` comes to a head after the layer inside it
        if head_gain is not None and isinstance(layer, ActionParameterization | ActionParameterizationFixedStddev):
            initialize_weights(layer.distribution_linear, scheme, float(head_gain))

    def normalize_obs(self, obs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw observations to normalised ones, or to the type that an encoder of `encoders` asks for instead."""
        normalized: dict[str, Tensor] = self.obs_normalizer(obs)
        for encoder in self.encoders:
            if asks_for_types(encoder):
                for key, x in obs.items():
                    if not is_action_mask(key) and (dtype := encoder.type_for_input_tensor(key)) != torch.float32:
                        normalized[key] = x.to(dtype)
        return normalized

    def summaries(self) -> dict[str, float]:
        """Mean over the elements of every running statistic: `obs_running_mean`, `returns_running_std` and so on."""
        summaries = self.obs_normalizer.summaries()
        if self.returns_normalizer is not None:
            summaries |= self.returns_normalizer.summaries("returns")
        return summaries

    def action_distribution(self) -> ActionDistribution | None:
        """What the last `forward_tail` described."""
        return self.last_action_distribution

    def model_device(self) -> torch.device:
        """Where the weights are."""
        return model_device(self)

    def _maybe_sample_actions(self, sample_actions: bool, result: dict[str, Any]) -> None:
        """If asked to, add `actions` (`{part: [N, *part]}`) and `log_prob_actions` (`[N]`) to `result`."""
        if sample_actions:
            assert self.last_action_distribution is not None
            actions = self.last_action_distribution.sample(self.sampling_generator)
            result["actions"] = actions
            result["log_prob_actions"] = self.last_action_distribution.log_prob(actions)

    # ---- the forward pass ----

    @property
    def state_size(self) -> int:
        """Size of the recurrent state of one row, H: those of the cores together."""
        cores = [module for module in self.children() if isinstance(module, ModelCore)]
        return sum(core.state_size for core in cores) if cores else rnn_state_size(self.cfg)

    def forward_head(self, normalized_obs_dict: Mapping[str, Tensor]) -> Tensor:
        """`{key: [N, *space]}` to encoder outputs `[N, E]`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward, or forward_head, _core and _tail")

    def forward_core(self, head_output: Tensor, rnn_states: Tensor) -> tuple[Tensor, Tensor]:
        """One step: `[N, E]`, `[N, H]` to core outputs `[N, C]` and new states `[N, H]`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward, or forward_head, _core and _tail")

    def forward_tail(
        self,
        core_output: Tensor,
        values_only: bool,
        sample_actions: bool,
        action_mask: Tensor | None = None,
    ) -> dict[str, Any]:
        """`[N, C]` to a dict with `values` and, unless `values_only`, `action_logits` and what was sampled."""
        raise NotImplementedError(f"{type(self).__name__} must define forward, or forward_head, _core and _tail")

    def forward_core_sequence(self, head_output: Tensor, rnn_states: Tensor, episode_start: Tensor) -> Tensor:
        """A segment: `[T, B, E]`, the states that enter it `[B, H]`, `episode_start [T, B]` to outputs `[T, B, C]`.

        The state is zero where an episode starts. This default steps `forward_core`.
        """
        outputs = []
        for x, start in zip(head_output, episode_start, strict=True):
            y, rnn_states = self.forward_core(x, rnn_states.masked_fill(start.unsqueeze(-1), 0.0))
            outputs.append(y)
        return torch.stack(outputs)

    def forward(
        self,
        normalized_obs_dict: Mapping[str, Tensor],
        rnn_states: Tensor,
        values_only: bool = False,
        action_mask: Tensor | None = None,
    ) -> dict[str, Any]:
        """One step of everything; samples actions unless `values_only`."""
        head_output = self.forward_head(normalized_obs_dict)
        core_output, new_rnn_states = self.forward_core(head_output, rnn_states)
        mask = {} if action_mask is None else {"action_mask": action_mask}
        result = self.forward_tail(core_output, values_only=values_only, sample_actions=not values_only, **mask)
        result["new_rnn_states"] = new_rnn_states
        return result


class _Trunk(NamedTuple):
    """Encoder, core and decoder, one after the other."""

    encoder: Encoder
    core: ModelCore
    decoder: Decoder


def _make_trunk(model_factory: ModelFactory, obs_space: spaces.Dict, cfg: AttrDict) -> _Trunk:
    encoder = model_factory.make_model_encoder_func(cfg, obs_space)
    core = model_factory.make_model_core_func(cfg, encoder.get_out_size())
    return _Trunk(encoder, core, model_factory.make_model_decoder_func(cfg, core.get_out_size()))


class _BuiltInActorCritic(ActorCritic):
    """What both built-in arrangements of weights share: trunks, and the heads on top of them."""

    def __init__(
        self, model_factory: ModelFactory, obs_space: spaces.Dict, action_space: spaces.Space[Any], cfg: AttrDict
    ) -> None:
        super().__init__(obs_space, action_space, cfg)
        actor_size, critic_size = self._make_trunks(lambda: _make_trunk(model_factory, obs_space, cfg))
        self.critic_linear = nn.Linear(critic_size, 1)
        self.action_parameterization = self.get_action_parameterization(actor_size)
        self.apply(self.initialize_weights)

    def _make_trunks(self, make_trunk: Callable[[], _Trunk]) -> tuple[int, int]:
        """Set `encoders` and the parts; returns the sizes that the heads of actor and critic get."""
        raise NotImplementedError

    def _heads(
        self, actor_x: Tensor, critic_x: Tensor, values_only: bool, sample_actions: bool, action_mask: Tensor | None
    ) -> dict[str, Any]:
        result: dict[str, Any] = {"values": self.critic_linear(critic_x).squeeze(-1)}
        if not values_only:
            result["action_logits"], self.last_action_distribution = self.action_parameterization(actor_x, action_mask)
            self._maybe_sample_actions(sample_actions, result)
        return result


class ActorCriticSharedWeights(_BuiltInActorCritic):
    """One encoder, core and decoder for policy and value."""

    def _make_trunks(self, make_trunk: Callable[[], _Trunk]) -> tuple[int, int]:
        self.encoder, self.core, self.decoder = make_trunk()
        self.encoders = [self.encoder]
        return self.decoder.get_out_size(), self.decoder.get_out_size()

    def forward_head(self, normalized_obs_dict: Mapping[str, Tensor]) -> Tensor:
        """See the base class."""
        x: Tensor = self.encoder(normalized_obs_dict)
        return x

    def forward_core(self, head_output: Tensor, rnn_states: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        x, new_rnn_states = self.core(head_output, rnn_states)
        return x, new_rnn_states

    def forward_core_sequence(self, head_output: Tensor, rnn_states: Tensor, episode_start: Tensor) -> Tensor:
        """See the base class."""
        return run_sequence(self.core, head_output, rnn_states, episode_start)[0]

    def forward_tail(
        self,
        core_output: Tensor,
        values_only: bool,
        sample_actions: bool,
        action_mask: Tensor | None = None,
    ) -> dict[str, Any]:
        """See the base class."""
        x = self.decoder(core_output)
        return self._heads(x, x, values_only, sample_actions, action_mask)


class ActorCriticSeparateWeights(_BuiltInActorCritic):
    """Encoder, core and decoder of their own for policy and value; a row's state is the actor's, then the critic's."""

    def _make_trunks(self, make_trunk: Callable[[], _Trunk]) -> tuple[int, int]:
        self.actor_encoder, self.actor_core, self.actor_decoder = make_trunk()
        self.critic_encoder, self.critic_core, self.critic_decoder = make_trunk()
        self.encoders = [self.actor_encoder, self.critic_encoder]
        return self.actor_decoder.get_out_size(), self.critic_decoder.get_out_size()

    def forward_head(self, normalized_obs_dict: Mapping[str, Tensor]) -> Tensor:
        """See the base class: the actor's outputs, then the critic's."""
        return torch.cat([self.actor_encoder(normalized_obs_dict), self.critic_encoder(normalized_obs_dict)], dim=-1)

    def forward_core(self, head_output: Tensor, rnn_states: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class: outputs and states of the actor, then of the critic."""
        (actor_x, critic_x), (actor_state, critic_state) = self._halves(head_output, rnn_states)
        actor_y, actor_state = self.actor_core(actor_x, actor_state)
        critic_y, critic_state = self.critic_core(critic_x, critic_state)
        return torch.cat([actor_y, critic_y], dim=-1), torch.cat([actor_state, critic_state], dim=-1)

    def forward_core_sequence(self, head_output: Tensor, rnn_states: Tensor, episode_start: Tensor) -> Tensor:
        """See the base class."""
        (actor_x, critic_x), (actor_state, critic_state) = self._halves(head_output, rnn_states)
        actor_y, _ = run_sequence(self.actor_core, actor_x, actor_state, episode_start)
        critic_y, _ = run_sequence(self.critic_core, critic_x, critic_state, episode_start)
        return torch.cat([actor_y, critic_y], dim=-1)

    def forward_tail(
        self,
        core_output: Tensor,
        values_only: bool,
        sample_actions: bool,
        action_mask: Tensor | None = None,
    ) -> dict[str, Any]:
        """See the base class."""
        sizes = [self.actor_core.get_out_size(), self.critic_core.get_out_size()]
        actor_y, critic_y = torch.split_with_sizes(core_output, sizes, dim=-1)
        critic_x = self.critic_decoder(critic_y)
        actor_x = critic_x if values_only else self.actor_decoder(actor_y)
        return self._heads(actor_x, critic_x, values_only, sample_actions, action_mask)

    def _halves(self, x: Tensor, state: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        sizes = [self.actor_encoder.get_out_size(), self.critic_encoder.get_out_size()]
        state_sizes = [self.actor_core.state_size, self.critic_core.state_size]
        return torch.split_with_sizes(x, sizes, dim=-1), torch.split_with_sizes(state, state_sizes, dim=-1)


def has_forward_parts(actor_critic: ActorCritic) -> bool:
    """Whether `forward_head`, `_core` and `_tail` say what the network does, rather than an overriding `forward`.

    A class that redefines `forward` below the class that defines the parts means its `forward` to be used.
    """
    owner = {
        name: next(depth for depth, cls in enumerate(type(actor_critic).__mro__) if name in vars(cls))
        for name in (*_PARTS, "forward")
    }
    base = type(actor_critic).__mro__.index(ActorCritic)
    return all(owner[name] < base for name in _PARTS) and min(owner[name] for name in _PARTS) <= owner["forward"]


def make_actor_critic(
    model_factory: ModelFactory,
    obs_space: spaces.Dict,
    action_space: spaces.Space[Any],
    cfg: AttrDict,
    kind: str = "auto",
) -> ActorCritic:
    """The built-in actor-critics: `shared`, `separate`; `auto` is what `--actor_critic_share_weights` says."""
    shared = cfg.actor_critic_share_weights if kind == "auto" else kind == "shared"
    cls = ActorCriticSharedWeights if shared else ActorCriticSeparateWeights
    return cls(model_factory, obs_space, action_space, cfg)
