"""A native vector environment (`gymnasium.vector.VectorEnv`) as a vector of agents, in every autoreset mode.

In: one VectorEnv whose `metadata["autoreset_mode"]` says who resets, and when. Out: `TimeStep`s that say the same
things whatever the mode. Not known here: how the env is made or what it simulates.

* NEXT_STEP: the step after an end ignores its action and only resets; that row is not valid.
* SAME_STEP: the env has reset already; `infos["final_obs"]` has what it left behind, either as an object array with an
  entry for each env that ended (Gymnasium) or as one full array (ALE).
* DISABLED: this adapter resets what ended, with `reset_mask`, and so behaves as SAME_STEP.

No Python runs per env and step; only where an episode ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import Error as GymnasiumError
from gymnasium.vector import AutoresetMode, VectorEnv

from sf_core.envs.adapters.common import first_frame, observation_arrays, render_fps, stats_of, tell_whose
from sf_core.envs.checks import check_five, check_length, check_observation, check_pair, check_reward, flat_spaces
from sf_core.envs.env_utils import TrainingInfoInterface, find_interface
from sf_core.envs.seeding import SeedSource
from sf_core.envs.spaces import decode_action, flatten_observation
from sf_core.envs.timestep import EPISODE_EXTRA_STATS, LIFE_LOST, RECORDED_EPISODE, TRUE_OBJECTIVE, TimeStep
from sf_core.utils.errors import UsageError


class NativeEnvs:
    """What an adapter over one `gymnasium.vector.VectorEnv` is, whether it gives arrays or tensors.

    Args:
        env: one agent in each of its envs.
        name: for messages.
        seed: of the run; used for the first reset only.
        first_env_id: number of the first env in the run.

    Raises:
        UsageError: the env does not say when it resets, or has a space that cannot be learned from.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        self._env = env
        self._mode = autoreset_mode(name, env)
        self._seeds = SeedSource(int(env.num_envs), seed, first_env_id)
        # single_*: EnvPool's observation_space is that of one env, ALE's is batched by batch_size
        self._raw_observation_space = env.single_observation_space
        self.name = name
        self.num_envs = self.num_agents = int(env.num_envs)
        self.agents_per_env = 1
        self.observation_space = flat_spaces(name, self._raw_observation_space)
        self.action_space = env.single_action_space
        self.render_mode: str | None = getattr(env, "render_mode", None)
        self.render_fps = render_fps(env)
        self._informed = find_interface(env, TrainingInfoInterface)
        self._checked_step = False
        self._closed = False

    def inform(self, training_info: Mapping[str, Any]) -> None:
        """See `AgentVector.inform`; at once, since the envs of a native vector end at different times."""
        if self._informed is not None:
            self._informed.set_training_info(training_info)

    def play_randomly(self, num_steps: Sequence[int], seed: int | None) -> None:
        """See `AgentVector.play_randomly`: these envs move together or not at all."""

    def render(self) -> np.ndarray | None:
        """See `AgentVector.render`."""
        try:
            return first_frame(self._env.render())
        except NotImplementedError:
            return None

    def close(self) -> None:
        """See `AgentVector.close`."""
        if not self._closed:
            self._closed = True
            self._env.close()


class VectorEnvs(NativeEnvs):
    """`AgentVector` over a vector env that gives arrays."""

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, name: str = "env", seed: int | None = None, first_env_id: int = 0
    ) -> None:
        super().__init__(env, name=name, seed=seed, first_env_id=first_env_id)
        self._all = np.ones(self.num_agents, bool)
        self._none = np.zeros(self.num_agents, bool)
        self.active = self._all
        self.resetting = self._none  # never any but in NEXT_STEP

    def reset(self, seed: int | Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """See `AgentVector.reset`."""
        seeds = self._seeds.seeds_for(seed)
        try:
            result = reset_vector(self._env, seeds)
        except Exception as error:
            tell_whose(error, self._seeds, range(self.num_envs))
            raise
        check_pair(self.name, result)
        check_observation(self.name, self._raw_observation_space, result[0], self.num_envs)
        self.resetting = self._none
        return self._flat(result[0])

    def step(self, actions: Mapping[str, np.ndarray]) -> TimeStep:
        """See `AgentVector.step`."""
        decoded = decode_action(self.action_space, actions, batched=True)
        try:
            result = self._env.step(decoded)
        except Exception as error:
            tell_whose(error, self._seeds, range(self.num_envs), decoded)
            raise
        if not self._checked_step:
            self._check_step(result)
        raw_observation, raw_reward, raw_terminated, raw_truncated, infos = result
        observation = self._flat(raw_observation)
        reward = np.asarray(raw_reward, np.float32)
        terminated = np.asarray(raw_terminated, bool)
        ended = terminated | np.asarray(raw_truncated, bool)
        valid = self._all
        if self._mode is AutoresetMode.NEXT_STEP:
            resetting, self.resetting = self.resetting, ended
            if resetting.any():
                # an env that is over again right after its reset goes round once more: its row stays invalid
                valid = ~resetting
                reward = np.where(valid, reward, np.float32(0))
                terminated, ended = terminated & valid, ended & valid
        any_ended = bool(ended.any())
        # the infos of the step itself; in SAME_STEP the top level holds those of the reset for an env that ended
        final_infos = infos
        if self._mode is AutoresetMode.SAME_STEP and any_ended:
            final_infos = infos.get("final_info", infos)
        lost = self._life_lost(infos, final_infos, ended)
        if lost is not None:
            terminated = terminated | (lost & valid)
        truncated = ended & ~terminated  # terminated wins: a terminal state has value 0
        extra_stats = _extra_stats(final_infos, np.flatnonzero(ended)) if any_ended else {}

        final_observation, final_rows, approximate = None, self._none, self._none
        episode_start = terminated | truncated
        if self._mode is AutoresetMode.NEXT_STEP:
            episode_start = (episode_start & ~ended) | ~valid
        elif any_ended:
            if self._mode is AutoresetMode.DISABLED:
                # copies: the reset may write into the arrays that the step returned
                final_observation, final_rows = {key: array.copy() for key, array in observation.items()}, truncated
                observation = self._reset_where(ended, final_observation)
            elif truncated.any():
                final_observation, final_rows = self._final_observation(infos, truncated)
                approximate = truncated & ~final_rows
            if not final_rows.any():
                final_observation = None
        return TimeStep(
            observation=observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            active=self._all,
            episode_start=episode_start,
            episode_end=ended,
            final_observation=final_observation,
            final_rows=final_rows,
            approximate=approximate,
            extra_stats=extra_stats,
        )

    def _flat(self, observation: Any) -> dict[str, np.ndarray]:
        return flatten_observation(self._raw_observation_space, observation, batched=True)

    def _reset_where(self, ended: np.ndarray, left_behind: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Reset the envs that ended (DISABLED); returns what to act on next, in arrays of its own."""
        fresh = self._flat(self._env.reset(options={"reset_mask": ended.copy()})[0])
        observation = {key: array.copy() for key, array in left_behind.items()}
        for key, array in observation.items():
            array[ended] = fresh[key][ended]
        return observation

    def _final_observation(
        self, infos: Mapping[str, Any], truncated: np.ndarray
    ) -> tuple[dict[str, np.ndarray] | None, np.ndarray]:
        """The observations left behind by truncated episodes (SAME_STEP), and in which rows they are known."""
        given = infos.get("final_obs")
        if given is None:
            return None, self._none
        known = truncated & np.asarray(infos.get("_final_obs", self._all), bool)
        if not (isinstance(given, np.ndarray) and given.dtype == object):
            return self._flat(given), known  # one full array (ALE), or a dict or tuple of them
        final_observation = observation_arrays(self.observation_space, self.num_agents)
        for row in np.flatnonzero(known):
            if given[row] is None:
                known[row] = False
                continue
            for key, leaf in flatten_observation(self._raw_observation_space, given[row]).items():
                final_observation[key][row] = leaf
        return final_observation, known

    def _life_lost(
        self, infos: Mapping[str, Any], final_infos: Mapping[str, Any], ended: np.ndarray
    ) -> np.ndarray | None:
        lost = None
        if LIFE_LOST in infos:
            lost = np.asarray(infos[LIFE_LOST]).astype(bool)  # an object array has None where nothing was said
        if final_infos is not infos and LIFE_LOST in final_infos:
            lost_at_end = np.asarray(final_infos[LIFE_LOST]).astype(bool) & ended
            lost = lost_at_end if lost is None else (lost & ~ended) | lost_at_end
        return lost

    def _check_step(self, result: Any) -> None:
        check_five(self.name, result)
        check_observation(self.name, self._raw_observation_space, result[0], self.num_envs)
        check_reward(self.name, result[1], self.num_envs)
        check_length(self.name, "terminated", result[2], self.num_envs)
        check_length(self.name, "truncated", result[3], self.num_envs)
        self._checked_step = True


def autoreset_mode(name: str, env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """Who resets, and when (`UsageError` where the env does not say)."""
    try:
        return AutoresetMode((env.metadata or {})["autoreset_mode"])
    except (KeyError, ValueError):
        raise UsageError(
            f"env {name!r}: this vector env does not say when it resets; set metadata['autoreset_mode'] to "
            "AutoresetMode.NEXT_STEP, SAME_STEP or DISABLED"
        ) from None


def reset_vector(env: VectorEnv[Any, Any, Any], seeds: list[int] | None) -> Any:
    """Reset with one seed for each env where the env takes them: Gymnasium a list, ALE an array, others one int."""
    if seeds is None:
        return env.reset()
    forms: tuple[Any, ...] = (seeds, np.asarray(seeds, np.int64), seeds[0])
    refused: Exception | None = None
    for form in forms:
        try:
            return env.reset(seed=form)
        except (TypeError, ValueError, AssertionError, GymnasiumError) as error:
            if form is forms[-1]:
                raise error from refused
            refused = refused or error
    raise AssertionError("unreachable")


def _extra_stats(infos: Mapping[str, Any], rows: np.ndarray) -> dict[int, dict[str, float]]:
    """What the infos of a vector env say about the episodes that ended in these rows."""
    named = [name for name in (EPISODE_EXTRA_STATS, TRUE_OBJECTIVE, RECORDED_EPISODE) if name in infos]
    all_stats: dict[int, dict[str, float]] = {}
    for row in rows if named else ():
        stats = stats_of({name: _row(infos[name], row) for name in named if _said(infos, name, row)})
        if stats:
            all_stats[int(row)] = stats
    return all_stats


def _row(given: Any, row: Any) -> Any:
    """What belongs to one env: of an array or list its element, of a dict of arrays a dict of what was said."""
    if not isinstance(given, Mapping):
        return given[row]
    return {
        key: values[row]
        for key, values in given.items()
        if not (key.startswith("_") and key[1:] in given) and _said(given, key, row)
    }


def _said(infos: Mapping[str, Any], key: str, row: Any) -> bool:
    mask = infos.get(f"_{key}")
    return mask is None or bool(mask[row])
