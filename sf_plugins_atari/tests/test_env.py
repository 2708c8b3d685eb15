from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
from sf_plugins_atari.env import AtariEnv
from sf_plugins_atari.factories import make_atari_env
from sf_plugins_atari.options import ARGS
from sf_plugins_atari.preprocessing import area_weights
from sf_plugins_atari.settings import AtariSettings
from sf_plugins_atari.vector_env import NativeVectorEnv

CFG = {"env_frameskip": 4, "env_framestack": 4, **{arg.name: arg.default for arg in ARGS}}


@pytest.mark.parametrize(
    ("rom", "options"),
    [
        ("breakout", {}),
        ("space_invaders", {"sticky_actions": 0.25, "full_action_set": True}),
        ("freeway", {"fire_reset": False, "frame_skip": 5, "frame_stack": 1}),
        ("pacman", {}),  # a screen of 250 lines
        ("breakout", {"grayscale": False, "frame_stack": 2}),
    ],
)
def test_the_single_environment_plays_exactly_like_the_native_vector(rom, options):
    # Without no-op starts: both draw their number with a generator of their own.
    settings = AtariSettings(rom=rom, noop_max=0, **options)
    single, vector = AtariEnv(settings), NativeVectorEnv(settings, 1, num_threads=1)
    frames, _ = single.reset(seed=3)
    expected, _ = vector.reset(seed=3)
    random = np.random.default_rng(0)
    different = []
    for _ in range(150):
        gap = np.abs(frames.astype(int) - expected[0])
        assert gap.max() <= 1  # averages are rounded in another order
        different.append((gap > 0).mean())
        action = random.integers(single.action_space.n)
        frames, reward, terminated, truncated, info = single.step(action)
        expected, rewards, ends, cuts, infos = vector.step(np.array([action]))
        assert (reward, terminated, truncated) == (rewards[0], ends[0], cuts[0])
        assert (info["life_lost"], info["lives"]) == (infos["life_lost"][0], infos["lives"][0])
        assert ("episode_extra_stats" in info) == (terminated and rom != "pacman")
        if terminated:
            break
    assert np.mean(different) < 0.001


def test_starts_are_as_varied_as_those_of_the_native_vector():
    env = AtariEnv(AtariSettings(rom="breakout", max_frames=108_000))
    starts = {env.reset(seed=seed)[1]["episode_frame_number"] for seed in range(24)}
    assert min(starts) == 1  # FIRE alone
    assert max(starts) <= 29
    assert len(starts) > 8


def test_the_same_seed_starts_the_same_game():
    env = make_atari_env("atari_breakout", CFG, {})
    first, _ = env.reset(seed=9)
    second, _ = env.reset()
    again, _ = env.reset(seed=9)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shown", [1, 2])
def test_who_watches_more_frames_lets_the_agent_see_and_lose_what_it_always_did(shown):
    trained = AtariSettings(rom="breakout", max_frames=30_001, noop_max=0)
    watched = dataclasses.replace(trained, frame_skip=shown, action_repeat=4 // shown)
    usual, smooth = AtariEnv(trained), AtariEnv(watched)
    np.testing.assert_array_equal(usual.reset(seed=3)[0], smooth.reset(seed=3)[0])
    random = np.random.default_rng(0)
    lost = 0
    for _ in range(1000):
        action = random.integers(4)
        expected, reward, terminated, truncated, info = usual.step(action)
        earned = 0.0
        for step in range(1, 4 // shown + 1):
            seen, points, *ends, seen_info = smooth.step(action)
            earned += points
            if any(ends):
                break
            assert not seen_info["life_lost"] or step == 4 // shown
        np.testing.assert_array_equal(seen, expected)
        assert (earned, *ends) == (reward, terminated, truncated)
        assert seen_info == info
        lost += info["life_lost"]
        if terminated or truncated:
            break
    assert terminated
    assert lost > 1
    assert (watched.max_steps, trained.max_steps) == (7501 * 4 // shown, 7501)


def test_the_time_limit_truncates_a_single_game():
    env = AtariEnv(AtariSettings(rom="pong", max_frames=10))
    env.reset(seed=0)
    # 4 + 4 + 2 frames
    assert [env.step(np.int64(0))[3] for _ in range(3)] == [False, False, True]


def test_a_game_is_drawn_in_colour():
    env = make_atari_env("atari_breakout", CFG, {}, "rgb_array")
    env.reset(seed=0)
    env.step(np.int64(0))
    frame = env.render()
    assert frame.shape == (210, 160, 3)
    assert frame.dtype == np.uint8
    assert (frame[..., 0] != frame[..., 2]).any()
    assert env.metadata["render_fps"] == 15


def test_a_game_that_nobody_watches_is_not_drawn():
    env = make_atari_env("atari_pong", CFG, {})
    env.reset(seed=0)
    assert env.render() is None


def test_gymnasium_accepts_the_environment():
    from gymnasium.utils.env_checker import check_env

    check_env(AtariEnv(AtariSettings(rom="pong", max_frames=1000)), skip_render_check=True)


def test_gymnasium_wrappers_fit_around_it():
    env = gymnasium.wrappers.TimeLimit(AtariEnv(AtariSettings(rom="pong", max_frames=1000)), 3)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_sticky_actions_change_the_game():
    plain = AtariSettings(rom="breakout", max_frames=108_000, noop_max=0)
    frames = []
    for settings in (plain, dataclasses.replace(plain, sticky_actions=0.9)):
        env = AtariEnv(settings)
        env.reset(seed=0)
        for t in range(30):
            seen, *_ = env.step(np.int64(2 + t % 2))
        frames.append(seen)
    assert not np.array_equal(*frames)


def test_areas_are_averaged_by_how_much_of_a_pixel_they_cover():
    # 5 pixels on 2: the third belongs to both, half each; 2.5 pixels make one.
    np.testing.assert_allclose(area_weights(5, 2), np.array([[1, 1, 0.5, 0, 0], [0, 0, 0.5, 1, 1]]) / 2.5)


def test_areas_agree_with_opencv():
    cv2 = pytest.importorskip("cv2")
    screen = np.random.default_rng(0).integers(0, 256, (210, 160), dtype=np.uint8)
    ours = np.rint(area_weights(210, 84) @ screen.astype(np.float32) @ area_weights(160, 84).T)
    theirs = cv2.resize(screen, (84, 84), interpolation=cv2.INTER_AREA)
    assert np.abs(ours - theirs).max() <= 1
