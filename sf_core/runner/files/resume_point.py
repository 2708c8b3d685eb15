"""Where the sampler of a serial run stands between two iterations, as part of a checkpoint.

In: single envs, the group that steps them, their inference. Out: arrays and plain data; or all of them where they were
when these were taken. Not known here: files, learners.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sf_core.envs.adapters.episode_history import SavedEpisodes
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.learner.checkpoint import LearnerState
from sf_core.learner.checkpoint_folder import Checkpoint
from sf_core.learner.random_state import RandomState, restore_random_state
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.inference_worker import InferenceWorker

_EPISODES, _GROUP, _RNN_STATE = "episodes/", "group/", "rnn_state"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    group: dict[str, np.ndarray]
    rnn_state: Tensor
    random_state: RandomState


class ResumePoint:
    """The last moment at which no rollout was half filled, from which a run can go on as if it had not stopped.

    Args:
        envs: whose episodes are played again; they begin to note them.
        group: steps them.
        inference: has the running recurrent state.
        generators: sources of randomness beside the global ones.
    """

    def __init__(
        self,
        envs: SingleEnvs,
        group: EnvGroup,
        inference: InferenceWorker,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        self._envs, self._group, self._inference, self._generators = envs, group, inference, generators
        self._marked: _Mark | None = None
        envs.keep_history()

    def mark(self) -> None:
        """This is such a moment. Cheap enough for every iteration."""
        self._envs.mark()
        self._marked = _Mark(self._group.state(), self._inference.rnn_state, RandomState.now(self._generators))

    def forget(self) -> None:
        """Since the last such moment the learner has moved on, and the two do not belong together any more."""
        self._marked = None

    def added_to(self, state: LearnerState) -> LearnerState:
        """`state` with where the sampler stood at the last mark, if that can be said."""
        episodes = self._envs.saved_episodes()
        if self._marked is None or episodes is None:
            return state
        random_state = self._marked.random_state.to_json()
        random_state["generators"] = {**state.facts["random_state"]["generators"], **random_state["generators"]}
        arrays = {
            **{f"{_EPISODES}{name}": array for name, array in episodes.arrays.items()},
            **{f"{_GROUP}{name}": array for name, array in self._marked.group.items()},
        }
        tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
        return dataclasses.replace(
            state,
            facts={**state.facts, "random_state": random_state, "episodes_in_progress": episodes.facts},
            sampler={**tensors, _RNN_STATE: self._marked.rnn_state.cpu()},
        )

    def restore(self, checkpoint: Checkpoint) -> str:
        """Bring everything to where it was when the checkpoint was saved.

        Returns:
            Why that is not possible, the envs having to be reset; empty where it was done.
        """
        facts = checkpoint.facts.get("episodes_in_progress")
        if not isinstance(facts, list) or not checkpoint.sampler:
            return "the checkpoint does not say where they were"
        arrays = {name: tensor.numpy() for name, tensor in checkpoint.sampler.items()}
        try:
            observation = self._envs.play_again(SavedEpisodes(facts, _under(_EPISODES, arrays)))
            self._group.restore(observation, _under(_GROUP, arrays))
            self._inference.rnn_state = checkpoint.sampler[_RNN_STATE]
        except Exception as error:  # the code of envs may raise anything
            return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        # the last thing: making and playing envs may have drawn numbers
        complete = restore_random_state(checkpoint.facts["random_state"], self._generators)
        return "" if complete else "the random states are of another machine"


def _under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
