"""The plugin through the core's own doors: command line, plan, probe process and adapters."""

from __future__ import annotations

import numpy as np
import pytest

from sf_core import UsageError, parse_full_cfg, parse_sf_args
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import probe_env
from sf_core.plugins.manager import build_plan, get_manager

PLUGIN = "sf_plugins_atari.plugin"  # found as a module where the distribution is not installed


def configure(*flags: str):
    argv = ["-p", PLUGIN, "--serial_mode=True", "--torch_threads=1", *flags]
    parser, _ = parse_sf_args(argv)
    cfg = parse_full_cfg(parser, argv)
    manager = get_manager((PLUGIN,))
    return cfg, build_plan(cfg, manager), manager


def random_actions(vector, random):
    return {"action": random.integers(vector.action_space.n, size=vector.num_agents)}


def test_the_command_line_knows_defaults_and_flags_of_a_game():
    cfg, plan, manager = configure("--env=atari_pong", "--atari_threads=2", "--learning_rate=1e-3")
    assert (cfg.reward_clip, cfg.origin("reward_clip")) == (1.0, "env")
    assert (cfg.learning_rate, cfg.origin("learning_rate")) == (1e-3, "cli")
    assert (cfg.atari_threads, cfg.rollout, cfg.use_rnn) == (2, 128, False)
    assert (cfg.atari_max_frames, configure("--env=atari_montezuma")[0].atari_max_frames) == (108_000, 18_000)
    assert any("ROM pong" in line for line in manager.report_header(cfg, plan))


def test_a_preset_wins_over_the_game_and_the_command_line_over_the_preset():
    cfg, *_ = configure("--env=atari_pong", "--preset=atari_machado2018", "--atari_noop_max=5")
    assert (cfg.atari_sticky_actions, cfg.origin("atari_sticky_actions")) == (0.25, "preset")
    assert (cfg.atari_max_frames, cfg.env_frameskip, cfg.atari_full_action_set) == (18_000, 5, True)
    assert (cfg.atari_noop_max, cfg.origin("atari_noop_max")) == (5, "cli")
    assert cfg.learning_rate == 2.5e-4


def test_every_rom_has_a_name_of_its_own_and_presets_apply_to_it():
    cfg, plan, manager = configure("--env=atari:tetris", "--preset=atari_dqn", "--atari_grayscale=False")
    assert any("ROM tetris" in line for line in manager.report_header(cfg, plan))
    vector = create_agent_vector(plan.env, cfg, 2, seed=0)
    assert vector.reset()["obs"].shape == (2, 4, 84, 84, 3)
    vector.step(random_actions(vector, np.random.default_rng(0)))
    vector.close()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--env=atari:tetriss"], "no game 'tetriss'; did you mean tetris"),
        (["--env=atari:qwertyuiop"], "it has adventure, air_raid"),
        (["--env=atari:combat"], "for two players only"),
        (["--env=atari_pong", "--atari_sticky_actions=1.5"], "use 0 or 0.25"),
        (["--env=atari_pong", "--atari_noop_max=-1"], "negative"),
        (["--env=atari_pong", "--atari_max_frames=0"], "no time to play"),
    ],
)
def test_what_cannot_be_played_is_refused_in_a_sentence(flags, sentence):
    cfg, plan, _ = configure(*flags)
    for render_mode in (None, "rgb_array"):
        with pytest.raises(UsageError, match=sentence):
            create_agent_vector(plan.env, cfg, 1, render_mode=render_mode)


@pytest.mark.parametrize("env", ["atari_pong", "ALE/Pong-v5"])
def test_the_score_of_a_game_comes_with_the_humans(env):
    flags = ["--atari_max_frames=80"] if env == "atari_pong" else ["--env_frameskip=60"]
    cfg, plan, _ = configure(f"--env={env}", *flags)
    vector = create_agent_vector(plan.env, cfg, 1, seed=0)
    vector.reset()
    score = 0.0
    for _ in range(1000):
        step = vector.step({"action": np.zeros(1, np.int64)})
        score += float(step.reward[0])
        if step.episode_end[0]:
            break
    vector.close()
    # 0 for a random player's -20.7, 1 for the human's 14.6
    assert step.extra_stats == {0: {"human_normalized_score": pytest.approx((score + 20.7) / 35.3)}}


def test_the_probe_process_reports_the_spaces():
    cfg, plan, _ = configure("--env=atari_breakout")
    info = probe_env(plan.env, cfg)
    assert info.observation_space["obs"].shape == (4, 84, 84)
    assert info.observation_space["obs"].dtype == np.uint8
    assert info.action_space.n == 4


def test_a_lost_life_cuts_learning_and_a_lost_game_ends_the_episode():
    cfg, plan, _ = configure("--env=atari_breakout")
    vector = create_agent_vector(plan.env, cfg, 4, seed=0)
    vector.reset()
    random = np.random.default_rng(0)
    lost = ended = 0
    after_end = np.zeros(4, bool)
    for _ in range(400):
        step = vector.step(random_actions(vector, random))
        np.testing.assert_array_equal(step.valid, ~after_end)  # the row that resets, and no other
        only_lost = step.terminated & ~step.episode_end
        assert step.episode_start[only_lost].all()  # goes on at once
        assert not step.episode_start[step.episode_end].any()  # starts after the row that resets
        assert step.reward.dtype == np.float32
        lost += int(only_lost.sum())
        ended += int(step.episode_end.sum())
        after_end = step.episode_end.copy()
    vector.close()
    assert lost >= 4 * ended > 0


def test_a_drawn_vector_gives_frames_and_lost_lives():
    cfg, plan, _ = configure("--env=atari_breakout")
    vector = create_agent_vector(plan.env, cfg, 1, seed=0, render_mode="rgb_array")
    vector.reset()
    lost = 0
    for _ in range(120):
        step = vector.step({"action": np.ones(1, np.int64)})
        lost += int((step.terminated & ~step.episode_end).sum())
    assert lost > 0
    assert vector.render().shape == (210, 160, 3)
    vector.close()


def test_gymnasiums_ids_work_as_they_are():
    cfg, plan, _ = configure("--env=ALE/Pong-v5")
    assert plan.env.plugin != "core"
    vector = create_agent_vector(plan.env, cfg, 2, seed=0)
    observation = vector.reset()
    assert observation["obs"].shape == (2, 210, 160, 3)
    vector.step(random_actions(vector, np.random.default_rng(0)))
    vector.close()


def test_an_unknown_id_of_the_emulator_is_answered_with_close_ones():
    cfg, plan, _ = configure("--env=ALE/Pongg-v5")
    with pytest.raises(UsageError, match="ALE/Pong-v5"):
        create_agent_vector(plan.env, cfg, 1, seed=0)


def test_an_unknown_game_is_answered_with_close_ones(capsys):
    with pytest.raises(SystemExit) as exit_info:
        configure("--env=atari_pongg")
    assert exit_info.value.code == 2
    assert "atari_pong" in capsys.readouterr().err
