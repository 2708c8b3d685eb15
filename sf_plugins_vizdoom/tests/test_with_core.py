"""The plugin through the core's own doors: command line, plan, probe process and adapters."""

from __future__ import annotations

import numpy as np

from sf_core import parse_full_cfg, parse_sf_args
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import probe_env
from sf_core.plugins.manager import build_plan, get_manager

PLUGIN = "sf_plugins_vizdoom.plugin"  # found as a module where the distribution is not installed


def configure(*flags: str):
    argv = ["-p", PLUGIN, "--env=doom_basic", "--serial_mode=True", *flags]
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
