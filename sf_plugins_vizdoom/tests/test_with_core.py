"""The plugin through the core's own doors: command line, plan, probe process and adapters."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from sf_core import parse_full_cfg, parse_sf_args
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import probe_env
from sf_core.plugins.manager import build_plan, get_manager

PLUGIN = "sf_plugins_vizdoom.plugin"  # found as a module where the distribution is not installed


def configure(*flags: str):
    argv = ["-p", PLUGIN, "--serial_mode=True", *flags]
    if not any(flag.startswith("--env=") for flag in flags):
        argv.append("--env=doom_basic")
    parser, _ = parse_sf_args(argv)
    cfg = parse_full_cfg(parser, argv)
    return cfg, build_plan(cfg, get_manager((PLUGIN,)))


def test_the_command_line_knows_defaults_and_flags_of_doom():
    cfg, _ = configure("--res_w=64", "--wide_aspect_ratio")
    assert (cfg.exploration_loss, cfg.origin("exploration_loss")) == ("symmetric_kl", "env")
    assert (cfg.res_w, cfg.res_h, cfg.wide_aspect_ratio, cfg.use_rnn) == (64, 72, True, True)


def test_the_probe_process_reports_the_spaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg, plan = configure()
    info = probe_env(plan.env, cfg)
    assert info.observation_space["obs"].shape == (3, 72, 128)
    assert info.action_space.n == 4


def test_a_time_out_is_truncated_and_keeps_its_last_real_frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg, plan = configure()
    vector = create_agent_vector(plan.env, cfg, 2, seed=0)
    vector.reset()
    for _ in range(75):  # 300 tics of doing nothing
        step = vector.step({"action": np.zeros(2, np.int64)})
    assert step.truncated.all()
    assert not step.terminated.any()
    assert step.final_rows.all()
    assert (step.final_observation["obs"].std(axis=(1, 2, 3)) > 0).all()
    assert step.episode_start.all()
    vector.close()


def test_training_on_a_missing_map_names_the_command_unless_the_user_says_where_it_is(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "SF_DOOM_SCENARIOS": ""}

    def train(*flags):
        command = [sys.executable, "-m", "sf_core", "train", "-p", PLUGIN, "--env=doom_battle", *flags]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    result = train()
    assert result.returncode == 2
    assert "needs battle.wad: python -m sf_plugins_vizdoom.scenarios fetch" in result.stderr
    result = train(f"--doom_scenarios_dir={tmp_path}")
    assert result.returncode == 2
    assert "battle.wad, which is not in" in result.stderr


def test_two_agents_of_one_game_are_two_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg, plan = configure("--env=doom_multi_duel", "--timelimit=0.01")  # 21 tics
    vector = create_agent_vector(plan.env, cfg, 1, seed=0)
    try:
        assert (vector.num_agents, vector.agents_per_env) == (2, 2)
        vector.reset()
        steps = [vector.step({"action": np.zeros(2, np.int64)}) for _ in range(6)]
        assert steps[-1].truncated.all()
        assert not any(step.terminated.any() for step in steps)
    finally:
        vector.close()
