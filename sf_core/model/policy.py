"""The policy: acts for the sampler, evaluates for the learner, on one path.

In: raw observations and recurrent states (acting), normalised observations and stored actions of whole segments
(evaluating). Out: actions, log-probabilities, values. Both ways use the same normaliser, the same mask and the same
distribution, so that the importance ratio is one until the weights change. This file knows neither environments nor
rollouts nor losses.

A trained policy in five lines::

    from sf_core import Policy

    policy, state = Policy.load("train_dir/my_run"), None
    observation, _ = env.reset()
    action, state = policy.act(observation, state)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from sf_core.envs.mask_check import MaskCheck
from sf_core.envs.spaces import (
    LONE_OBSERVATION,
    action_parts,
    decode_action,
    is_action_mask,
    observation_spaces,
)
from sf_core.model.action_distribution import ActionDistribution, ActionLayout
from sf_core.model.action_mask import ActionMaskReader
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.forward import Forward, ForwardOptions
from sf_core.utils.errors import UsageError


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """What acting on N rows gives."""

    action: dict[str, Tensor]  # part -> [N, *part.shape]
    action_logits: Tensor  # [N, P], before masking
    log_prob: Tensor  # [N], after masking
    value: Tensor  # [N], reward units
    rnn_state: Tensor  # [N, H], after this step


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the present weights say about G segments of L steps; with gradients."""

    log_prob: Tensor  # [G, L] of the stored actions, after masking
    value: Tensor  # [G, L], units of the value head (normalised with --normalize_returns)
    distribution: ActionDistribution  # over the G * L rows, segment after segment


class Policy:
    """A network with the spaces it was made for.

    Args:
        actor_critic: the network; moved to `device`.
        action_space: of one agent.
        obs_space: of one agent, nested or flat, action masks included.
        policy_version: optimizer steps behind the weights.
        device: where it runs.
        forward_options: how it is run.
        env_name: for messages.

    Attributes:
        rnn_size: H, numbers of recurrent state per row; 1 without recurrence.
        checkpoint: the folder it was loaded from, or None.
    """

    def __init__(
        self,
        actor_critic: ActorCritic,
        action_space: spaces.Space[Any],
        obs_space: spaces.Space[Any],
        policy_version: int = 0,
        device: torch.device | str = "cpu",
        forward_options: ForwardOptions | None = None,
        env_name: str = "",
    ) -> None:
        self.device = torch.device(device)
        self.actor_critic = actor_critic.to(self.device)
        self.actor_critic.eval()
        self.action_space = action_space
        self.observation_space = obs_space
        self.policy_version = policy_version
        self.checkpoint: Path | None = None
        self.layout = ActionLayout(action_parts(action_space))
        self._leaves = observation_spaces(obs_space)
        self._mask_reader = ActionMaskReader(self._leaves, self.layout.parts)
        self._mask_keys = tuple(key for key in self._leaves if is_action_mask(key))
        self._mask_check = MaskCheck(env_name, self._leaves, action_space)
        self._forward = Forward(actor_critic, self.device, forward_options)
        self._checked_result = False
        if self._mask_keys:
            self._forward.check_takes_mask()

    @property
    def rnn_size(self) -> int:
        """H, numbers of recurrent state per row."""
        return self.actor_critic.state_size

    # ---- acting ----

    @torch.no_grad()
    def act_batch(
        self,
        observation: Mapping[str, Tensor],
        rnn_state: Tensor,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
    ) -> PolicyOutput:
        """Choose one action per row.

        Args:
            observation: raw, `{key: [N, *space]}`, on the policy's device.
            rnn_state: `[N, H]` entering this step, zero where an episode starts.
            deterministic: the most probable action instead of a sampled one.
            generator: where samples are drawn from; None is torch's own.
        """
        observation = self.normalize(observation)
        self.actor_critic.sampling_generator = generator  # for one that chooses in its forward
        try:
            result, distribution = self._step(observation, rnn_state)
        finally:
            self.actor_critic.sampling_generator = None
        if deterministic:
            action = distribution.mode()
            log_prob = distribution.log_prob(action)
        elif "actions" not in result:
            action, log_prob = distribution.sample_with_log_prob(generator)
        else:  # an actor-critic that defines forward alone may choose in its own way
            action = self.layout.as_parts(result["actions"])
            given = result.get("log_prob_actions")
            log_prob = distribution.log_prob(action) if given is None else given.reshape(-1)
        return PolicyOutput(
            action=action,
            action_logits=result["action_logits"],
            log_prob=log_prob,
            value=self._reward_units(result["values"].reshape(-1)),
            rnn_state=result["new_rnn_states"],
        )

    @torch.no_grad()
    def value_batch(self, observation: Mapping[str, Tensor], rnn_state: Tensor) -> Tensor:
        """V in reward units `[N]` of raw observations `{key: [N, *space]}`, with the states entering them `[N, H]`."""
        inputs, _ = self._split_mask(self.normalize(observation))
        return self._reward_units(self._forward.values(inputs, rnn_state))

    def distribution(self, observation: Mapping[str, Tensor], action_logits: Tensor) -> ActionDistribution:
        """What `action_logits` `[N, P]` describe, with the masks that stand in `observation` `{key: [N, *space]}`."""
        return ActionDistribution(self.layout, action_logits, self._split_mask(observation)[1])

    def act(
        self,
        observation: Any,
        rnn_state: np.ndarray | None = None,
        deterministic: bool = False,
        active: np.ndarray | None = None,
    ) -> tuple[Any, np.ndarray]:
        """Act on one observation as the env returned it, or on a batch of them (`gymnasium.vector`).

        Args:
            observation: numpy arrays in the env's own nesting.
            rnn_state: what the last call returned; None at the start of an episode.
            deterministic: the most probable action instead of a sampled one.
            active: `[N]` bool, which agents of a batch act; the others keep their state, and what is returned as their
                action means nothing. None: everybody acts.

        Returns:
            The action as `env.step` takes it, and the state to pass to the next call, `[H]` (`[N, H]` for a batch).

        Raises:
            UsageError: the observation does not belong to the space that the policy was trained in, or its action mask
                forbids everything.
        """
        arrays = self._flat_arrays(observation)
        extra = {array.ndim - len(self._leaves[key].shape or ()) for key, array in arrays.items()}
        if extra not in ({0}, {1}):
            raise UsageError(
                f"the observation has shapes { {key: array.shape for key, array in arrays.items()} }; "
                f"the policy was trained with { {key: leaf.shape for key, leaf in self._leaves.items()} }"
            )
        batched = extra == {1}
        tensors = {
            key: torch.as_tensor(array if batched else array[None], device=self.device) for key, array in arrays.items()
        }
        num_rows = next(iter(tensors.values())).shape[0]
        acts = np.ones(num_rows, bool) if active is None else np.asarray(active, bool).reshape(num_rows)
        self._mask_check.check(arrays, acts)
        state = np.zeros((num_rows, self.rnn_size), np.float32) if rnn_state is None else np.asarray(rnn_state)
        state = state.reshape(num_rows, -1)
        output = self.act_batch(tensors, torch.as_tensor(state, device=self.device), deterministic)
        parts = {name: action.cpu().numpy() for name, action in output.action.items()}
        new_state = np.where(acts[:, None], output.rnn_state.cpu().numpy(), state)
        if not batched:
            parts, new_state = {name: action[0] for name, action in parts.items()}, new_state[0]
        return decode_action(self.action_space, parts, batched=batched), new_state

    # ---- learning ----

    @torch.no_grad()
    def normalize(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw observations `{key: [..., *space]}` as `evaluate` takes them; the tensors given are left alone.

        Images come out in channels_last memory order; action masks and discrete observations as they are.
        """
        return self.actor_critic.normalize_obs(observation)

    def evaluate(
        self,
        observation: Mapping[str, Tensor],
        rnn_state: Tensor,
        episode_start: Tensor,
        action: Mapping[str, Tensor],
        inactive: Tensor | None = None,
    ) -> Evaluation:
        """What the present weights say about stored segments.

        Args:
            observation: normalised, `{key: [G, L, *space]}`.
            rnn_state: `[G, H]`, enters the first step of each segment.
            episode_start: `[G, L]` bool; the state is zero entering a step where it is True.
            action: stored, `{part: [G, L, *part.shape]}`.
            inactive: `[G, L]` bool, steps that the agent sat out and the state passes by; None = nobody did. What comes
                out of such a step means nothing.
        """
        shape = episode_start.shape  # [G, L]
        inputs, mask = self._split_mask({key: x.flatten(0, 1) for key, x in observation.items()})  # [G * L, *space]
        values, action_logits = self._forward.segments(inputs, rnn_state, episode_start, mask, inactive)
        distribution = self._distribution(action_logits, mask)
        log_prob = distribution.log_prob({name: x.flatten(0, 1) for name, x in action.items()})
        return Evaluation(log_prob.view(shape), values.view(shape), distribution)

    # ---- weights ----

    def weights(self) -> dict[str, Tensor]:
        """Parameters and statistics by name: contiguous, on the CPU, sorted, memory of their own.

        Equal weights are equal bytes, whatever device and memory layout they lived in.
        """
        state = self.actor_critic.state_dict()
        return {name: state[name].detach().cpu().clone(memory_format=torch.contiguous_format) for name in sorted(state)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` returned.

        Raises:
            UsageError: they belong to another network.
        """
        try:
            self.actor_critic.load_state_dict(dict(weights))
        except RuntimeError as error:
            detail = " ".join(str(error).split("\n\t", 1)[-1].split())[:300]
            raise UsageError(f"the weights do not fit this network: {detail}") from error

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: torch.device | str = "auto",
        checkpoint_kind: str = "latest",
        plugins: Sequence[str] = (),
    ) -> Policy:
        """A trained policy from a run folder, a `checkpoint_p0` folder, or one checkpoint folder.

        Needs no env package: the spaces are in the checkpoint. Nothing in the files is executed: the components are
        looked up by name among what is installed or registered in this process.

        Args:
            path: the folder.
            device: as `--device`.
            checkpoint_kind: `latest` or `best`.
            plugins: what `-p` would take, for components in a file of one's own.

        Raises:
            UsageError: no checkpoint can be read, or a component is not there any more.
        """
        from sf_core.model.loading import load_policy  # it builds a Policy

        return load_policy(cls, path, str(device), checkpoint_kind, plugins)

    # ---- what both share ----

    def _step(self, observation: Mapping[str, Tensor], rnn_state: Tensor) -> tuple[dict[str, Any], ActionDistribution]:
        """One step on normalised observations `{key: [N, *space]}` and states `[N, H]`."""
        inputs, mask = self._split_mask(observation)
        result = self._forward.step(inputs, rnn_state, mask)
        if not self._checked_result:
            self._check_result(result, rnn_state)
            self._checked_result = True
        return result, self._distribution(result["action_logits"], mask)

    def _distribution(self, action_logits: Tensor, mask: Tensor | None) -> ActionDistribution:
        """The distribution these logits describe; the one that the network has just made of them, if it has."""
        made, self.actor_critic.last_action_distribution = self.actor_critic.last_action_distribution, None
        if isinstance(made, ActionDistribution) and made.logits is action_logits:
            return made
        return ActionDistribution(self.layout, action_logits, mask)

    def _split_mask(self, observation: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Tensor | None]:
        """`{key: [N, *space]}` without the mask, and the mask `[N, C]`."""
        if not self._mask_keys:
            return observation, None
        inputs = {key: x for key, x in observation.items() if key not in self._mask_keys}
        return inputs, self._mask_reader.read(observation)

    def _reward_units(self, value: Tensor) -> Tensor:
        normalizer = self.actor_critic.returns_normalizer
        return value if normalizer is None else normalizer.denormalize(value)

    def _check_result(self, result: Mapping[str, Any], rnn_state: Tensor) -> None:
        """The first step shows what a custom network gets wrong in every step."""
        whose = type(self.actor_critic).__name__
        for key in ("values", "action_logits", "new_rnn_states"):
            if key not in result:
                raise UsageError(f"{whose} returned {', '.join(result)} and no {key}; return {key} too")
        logits, state = result["action_logits"], result["new_rnn_states"]
        if logits.shape[-1] != self.layout.num_parameters:
            raise UsageError(
                f"{whose} returned {logits.shape[-1]} action logits for an action space that has "
                f"{self.layout.num_parameters} parameters; make them with get_action_parameterization(size)"
            )
        if getattr(state, "shape", None) != rnn_state.shape:
            found = f"shape {tuple(state.shape)}" if isinstance(state, Tensor) else f"type {type(state).__name__}"
            raise UsageError(
                f"{whose} returned a recurrent state of {found} where {tuple(rnn_state.shape)} entered; give its core, "
                "or itself, a property state_size with the length of the state vector, or return one that is as long"
            )

    def _flat_arrays(self, observation: Any) -> dict[str, np.ndarray]:
        """An observation in any nesting as `{key: array}` with the dtypes of the space."""
        flat: dict[str, Any] = {}
        _collect(observation, "", self._leaves, flat)
        if set(flat) != set(self._leaves):
            raise UsageError(
                f"the observation has the parts {', '.join(sorted(flat))}; "
                f"the policy was trained with {', '.join(sorted(self._leaves))}"
            )
        return {key: np.asarray(flat[key], dtype=leaf.dtype) for key, leaf in self._leaves.items()}


def _collect(value: Any, name: str, leaves: Mapping[str, Any], flat: dict[str, Any]) -> None:
    if name not in leaves and isinstance(value, Mapping):
        for key, child in value.items():
            _collect(child, f"{name}/{key}" if name else str(key), leaves, flat)
    elif name not in leaves and isinstance(value, tuple):
        for index, child in enumerate(value):
            _collect(child, f"{name}/{index}" if name else str(index), leaves, flat)
    else:
        flat[name or LONE_OBSERVATION] = value
