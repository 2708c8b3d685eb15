"""Rollout workers play as one process does, and equal seeds give equal episodes."""

from pathlib import Path

import pytest

from sf_core.cfg.arguments import default_cfg
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import look_at_env
from sf_core.envs.spaces import action_parts
from sf_core.eval.evaluate import evaluate
from sf_core.eval.workers import evaluate_in_workers
from sf_core.model.policy import Policy
from sf_core.plugins.manager import build_plan, get_manager
from sf_core.plugins.plan import EnvError
from sf_core.testing.fake_policy import CountingPolicy

COUNTING = "py:sf_core.testing.fakes:make_counting_env"


def setting(env, **values):
    cfg = default_cfg(env=env, seed=1, num_workers=2, num_envs_per_worker=2, **values)
    plan = build_plan(cfg, get_manager())
    return cfg, plan, look_at_env(plan.env, cfg)


def test_workers_and_one_process_play_the_same_episodes():
    cfg, plan, info = setting(COUNTING)
    policy = CountingPolicy(action_parts(info.action_space), 2)
    there = evaluate_in_workers(policy, plan, cfg, info, 10, seed=7)
    here = evaluate(policy, create_agent_vector(plan.env, cfg, 4, seed=7), 10, seed=7)
    assert there.episodes == here.episodes
    assert len(there.episodes) == 10


def test_an_env_that_raises_ends_the_evaluation_with_its_name(monkeypatch):
    folder = Path(__file__).parents[1] / "runner"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{Path(__file__).parents[2]}")
    cfg, plan, info = setting("py:fragile_envs:make_fragile")
    policy = CountingPolicy(action_parts(info.action_space), 2)
    with pytest.raises(EnvError, match=r"fragile.*the maze collapsed"):
        evaluate_in_workers(policy, plan, cfg, info, 200, seed=7)


SPARE = """
from sf_core.testing.fakes import CountingMultiAgentEnv


def make(full_env_name, cfg, env_config):
    return CountingMultiAgentEnv(2, first_env_id=2 * env_config.env_id, inactive=(1, 1, 10**9))
"""


def test_workers_wait_for_no_agent_that_never_comes(monkeypatch, tmp_path):
    (tmp_path / "spare_env.py").write_text(SPARE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    cfg, plan, info = setting("py:spare_env:make")
    policy = CountingPolicy(action_parts(info.action_space), 2)
    there = evaluate_in_workers(policy, plan, cfg, info, 8, seed=7)
    assert [(one.env, one.agent) for one in there.episodes] == [(env, 0) for env in range(4) for _ in range(2)]


@pytest.fixture
def untrained():
    """A recurrent policy for CartPole whose actions are drawn."""
    from sf_core.model.factory import build_actor_critic

    cfg, plan, info = setting("CartPole-v1", encoder_mlp_layers=[8], use_rnn=True, rnn_size=8)
    network = build_actor_critic(plan.model, cfg, info.observation_space, info.action_space)
    return cfg, plan, info, Policy(network, info.action_space, info.observation_space)


def test_the_same_seed_draws_the_same_episodes_as_in_one_process_and_another_one_others(untrained):
    cfg, plan, info, policy = untrained
    whole = cfg.replace("cli", worker_num_splits=1)
    there = evaluate_in_workers(policy, plan, whole, info, 10, seed=3)
    here = evaluate(policy, create_agent_vector(plan.env, cfg, 4, seed=3), 10, seed=3)
    assert there.episodes == here.episodes
    split, again = (evaluate_in_workers(policy, plan, cfg, info, 10, seed=3) for _ in range(2))
    assert split.episodes == again.episodes
    assert split.rewards.tolist() != there.rewards.tolist()  # other numbers, drawn for each half
