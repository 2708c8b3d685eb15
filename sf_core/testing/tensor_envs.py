"""Tensor envs for tests and examples: any vector env as one, and a CartPole that is nothing but tensors.

In: a numpy vector env, or a number of envs. Out: `gymnasium.vector.VectorEnv`s whose metadata name the device of their
tensors. Not known here: who steps them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from sf_core.envs.adapters.common import TENSOR_DEVICE
from sf_core.model.device import choose_device
from sf_core.testing.fakes import CountingVectorEnv


class AsTensors(VectorEnv[Any, Any, Any]):
    """A numpy vector env that gives and takes tensors; its own arrays are reused for every step, as simulators do."""

    def __init__(self, env: VectorEnv[Any, Any, Any], device: str = "cpu") -> None:
        self.env = env
        self.metadata = {**env.metadata, TENSOR_DEVICE: device}
        self.num_envs, self.render_mode = env.num_envs, env.render_mode
        self.single_observation_space, self.single_action_space = env.single_observation_space, env.single_action_space
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self._device = device
        self._given: dict[str, Tensor] = {}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See `VectorEnv.reset`."""
        if options is not None:
            options = {key: value.cpu().numpy() for key, value in options.items()}
        observation, infos = self.env.reset(seed=seed, options=options)
        return self._tensors("observation", observation), self._tensors("infos", infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """See `VectorEnv.step`."""
        results = self.env.step(actions.cpu().numpy())
        names = ("observation", "reward", "terminated", "truncated", "infos")
        observation, reward, terminated, truncated, infos = map(self._tensors, names, results)
        actions.fill_(-1)  # whoever kept it would notice
        return observation, reward, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """See `VectorEnv.close_extras`."""
        self.env.close()

    def _tensors(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._tensors(f"{name}/{key}", child) for key, child in value.items()}
        given = torch.as_tensor(np.asarray(value), device=self._device)
        if name not in self._given or self._given[name].shape != given.shape:
            self._given[name] = given.clone()
        return self._given[name].copy_(given)


class TensorCartPole(VectorEnv[Any, Any, Any]):
    """CartPole-v1 (Barto, Sutton and Anderson 1983, with Gymnasium's constants), every env a row of one tensor.

    Resets in the same step and keeps what it left behind in `infos["final_obs"]`.
    """

    def __init__(self, num_envs: int, device: torch.device | str = "cpu", seed: int = 0, max_steps: int = 500) -> None:
        self.num_envs = num_envs
        self.render_mode = None
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, TENSOR_DEVICE: str(device)}
        limits = np.array([4.8, np.inf, 2 * 12 * 2 * math.pi / 360, np.inf], np.float32)
        self.single_observation_space = spaces.Box(-limits, limits)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._device = torch.device(device)
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._max_steps = max_steps
        self._state = self._fresh()  # [N, 4]: position, velocity, angle, angular velocity
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=self._device)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start new episodes everywhere."""
        if seed is not None:
            self._generator.manual_seed(int(seed[0]) if isinstance(seed, Sequence) else int(seed))
        self._state = self._fresh()
        self._steps.zero_()
        return self._state, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Euler's method with steps of 20 ms."""
        x, speed, angle, turning = self._state.unbind(1)
        force = actions.to(torch.float32) * 20.0 - 10.0
        cos, sin = angle.cos(), angle.sin()
        push = (force + 0.05 * turning.square() * sin) / 1.1
        turning_up = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos.square() / 1.1))
        speed_up = push - 0.05 * turning_up * cos / 1.1
        left_behind = torch.stack(
            [x + 0.02 * speed, speed + 0.02 * speed_up, angle + 0.02 * turning, turning + 0.02 * turning_up], dim=1
        )
        self._steps += 1
        terminated = (left_behind[:, 0].abs() > 2.4) | (left_behind[:, 2].abs() > 12 * 2 * math.pi / 360)
        truncated = self._steps >= self._max_steps
        ended = terminated | truncated
        self._state = torch.where(ended[:, None], self._fresh(), left_behind)
        self._steps.masked_fill_(ended, 0)
        return self._state, torch.ones_like(x), terminated, truncated, {"final_obs": left_behind}

    def _fresh(self) -> Tensor:
        noise = torch.rand(self.num_envs, 4, generator=self._generator, device=self._device)
        return noise * 0.1 - 0.05


def make_tensor_cartpole(
    full_env_name: str, cfg: Any, env_configs: Sequence[Any], render_mode: str | None = None
) -> TensorCartPole:
    """A vector factory."""
    return TensorCartPole(len(env_configs), choose_device(cfg.device), seed=env_configs[0].seed)


def make_one_tensor_cartpole(
    full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None
) -> TensorCartPole:
    """A factory: a vector of one."""
    return make_tensor_cartpole(full_env_name, cfg, (env_config,))


def make_counting_tensor_env(
    full_env_name: str, cfg: Any, env_configs: Sequence[Any], render_mode: str | None = None, device: str = "cpu"
) -> AsTensors:
    """A vector factory of counting envs, as tensors."""
    return AsTensors(CountingVectorEnv(len(env_configs), first_env_id=env_configs[0].env_id), device)
