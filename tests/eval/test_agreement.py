"""Trained once, evaluated anywhere: what `sf-eval` measures is what the training curve says, whatever a policy needs.

A policy learns for some seconds, then goes on with a learning rate of nearly zero, so that the last episodes of the
curve are all those of one policy. Both means are then of the same distribution.
"""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from sf_core import ExperimentStatus, parse_full_cfg, parse_sf_args, run_rl
from sf_core.envs.env_utils import register_env
from sf_core.eval import evaluate_run
from sf_core.plugins.script import forget_registrations

CUES, ROUNDS = 4, 4


class Cues(gym.Env):
    """Name the cue, `ROUNDS` times; being right pays 5. Chance is 5, the best return 20.

    Args:
        scale, offset: of the observation, which only a normaliser takes back.
        pause: blank observations between a cue and the moment to name it, which only a memory bridges.
        mask: only the right choice and the one after it are legal.
    """

    def __init__(self, scale=1.0, offset=0.0, pause=0, mask=False):
        self._scale, self._offset, self._pause, self._mask = scale, offset, pause, mask
        cue = spaces.Box(-1e6, 1e6, (CUES + 1,), np.float32)
        self.observation_space = spaces.Dict(obs=cue, action_mask=spaces.MultiBinary(CUES)) if mask else cue
        self.action_space = spaces.Discrete(CUES)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action):
        at = self._step % (self._pause + 1)
        reward = 5.0 * (at == self._pause and action == self._cue)
        assert not self._mask or (action - self._cue) % CUES < 2, "a forbidden action"
        self._step += 1
        over = self._step == ROUNDS * (self._pause + 1)
        return self._observation(), reward, over, False, {"episode_extra_stats": {"steps": self._step}}

    def _observation(self):
        at = self._step % (self._pause + 1)
        values = np.zeros(CUES + 1, np.float32)
        if at == 0:
            self._cue = int(self.np_random.integers(CUES))
            values[self._cue] = 1
        values[-1] = at == self._pause
        values = (values * self._scale + self._offset).astype(np.float32)
        if not self._mask:
            return values
        mask = np.zeros(CUES, np.int8)
        mask[[self._cue, (self._cue + 1) % CUES]] = 1
        return {"obs": values, "action_mask": mask}


class Pair:
    """Two agents, each with cues of its own."""

    num_agents = 2

    def __init__(self):
        self._envs = [Cues(), Cues()]
        self.observation_space, self.action_space = self._envs[0].observation_space, self._envs[0].action_space

    def reset(self, *, seed=None):
        seeds = (None, None) if seed is None else (seed, seed + 1)
        return [env.reset(seed=one)[0] for env, one in zip(self._envs, seeds, strict=True)], [{}, {}]

    def step(self, actions):
        results = [list(env.step(action)) for env, action in zip(self._envs, actions, strict=True)]
        for env, result in zip(self._envs, results, strict=True):
            if result[2]:
                result[0] = env.reset()[0]
        return tuple(list(column) for column in zip(*results, strict=True))

    def close(self):
        pass


TASKS = {
    "normalisers": (lambda: Cues(scale=200.0, offset=-1000.0), ()),
    "recurrence": (lambda: Cues(pause=1), ("--use_rnn=True", "--rnn_size=16")),
    "masks": (lambda: Cues(mask=True), ()),
    "agents": (Pair, ()),
}
SMALL = (
    "--serial_mode=True", "--seed=5", "--torch_threads=1", "--device=cpu", "--experiment=exp", "--use_rnn=False",
    "--encoder_mlp_layers=16", "--rollout=16", "--batch_size=256", "--num_epochs=4", "--gamma=0.5",
    "--learning_rate=0.003", "--stats_avg=200", "--save_best_every_sec=1", "--save_best_after=0",
)  # fmt: skip


def cfg_of(tmp_path, *flags, evaluation=False):
    argv = [f"--train_dir={tmp_path}", *flags]
    parser, _ = parse_sf_args(argv, evaluation)
    return parse_full_cfg(parser, argv)


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_agrees_with_the_training_curve(task, tmp_path):
    make, flags = TASKS[task]
    register_env("cues", lambda full_env_name, cfg, env_config: make())
    try:
        learn = (*SMALL, "--env=cues", *flags)
        assert run_rl(cfg_of(tmp_path, *learn, "--train_for_env_steps=6000")) is ExperimentStatus.SUCCESS
        hold = (*learn, "--train_for_env_steps=9000", "--learning_rate=1e-9")
        assert run_rl(cfg_of(tmp_path, *hold)) is ExperimentStatus.SUCCESS
        curve = json.loads((tmp_path / "exp" / "result.json").read_text())
        evaluate = ("--experiment=exp", "--env=cues", "--episodes=200", "--device=cpu", "--serial_mode=True")
        latest = evaluate_run(cfg_of(tmp_path, *evaluate, evaluation=True))
        best = evaluate_run(cfg_of(tmp_path, *evaluate, "--load_checkpoint_kind=best", evaluation=True))
    finally:
        forget_registrations()
    chance = 10.0 if task == "masks" else 5.0
    assert latest["reward_mean"] > chance + 2, "it has learned nothing, so there is nothing to compare"
    # 200 episodes each: the standard error of the difference is sqrt(2) times that of one mean
    tolerance = 4 * np.sqrt(2) * max(latest["reward_sem"], 0.05)
    assert abs(latest["reward_mean"] - curve["reward_mean"]) < tolerance
    # what was the best mean of the curve lags behind the policy that had just learned more
    assert best["reward_mean"] > curve["reward_mean"] - 1.5
    if task == "agents":
        assert [agent["episodes"] for agent in latest["agents"]] == [200, 200]
