from __future__ import annotations

import dataclasses

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode, VectorEnv
from sf_plugins_atari.factories import make_atari_vector_env
from sf_plugins_atari.options import ARGS
from sf_plugins_atari.settings import AtariSettings
from sf_plugins_atari.vector_env import NativeVectorEnv

BREAKOUT = AtariSettings(rom="breakout", max_frames=108_000)
CFG = {"env_frameskip": 4, "env_framestack": 4, "serial_mode": True, "torch_threads": 1}
CFG |= {arg.name: arg.default for arg in ARGS}


def play(env, num_steps, seed=0):
    """Random play; returns the arrays of every step, [num_steps, N]."""
    random = np.random.default_rng(seed)
    names = ("reward", "terminated", "truncated", "life_lost", "lives")
    rows = {name: [] for name in names}
    for _ in range(num_steps):
        actions = random.integers(env.single_action_space.n, size=env.num_envs)
        _, reward, terminated, truncated, infos = env.step(actions)
        for name, value in zip(
            names, (reward, terminated, truncated, infos["life_lost"], infos["lives"].copy()), strict=True
        ):
            rows[name].append(value)
    return {name: np.stack(values) for name, values in rows.items()}


def test_a_lost_life_is_reported_and_only_the_end_of_the_game_terminates():
    env = NativeVectorEnv(BREAKOUT, 4, num_threads=1)
    env.reset(seed=0)
    steps = play(env, 500)
    # Breakout has five lives: four losses the game survives and then its end, at zero lives.
    assert steps["terminated"].sum() > 2
    for i in range(4):
        last_end = np.flatnonzero(steps["terminated"][:, i])[-1]
        assert steps["life_lost"][:last_end, i].sum() == 4 * steps["terminated"][:, i].sum()
    assert (steps["lives"][steps["terminated"]] == 0).all()
    assert not (steps["life_lost"] & steps["terminated"]).any()
    assert not steps["truncated"].any()


def test_the_row_after_the_end_of_a_game_only_resets():
    env = NativeVectorEnv(BREAKOUT, 2, num_threads=1)
    env.reset(seed=0)
    steps = play(env, 400)
    ends = np.argwhere(steps["terminated"][:-1])
    assert len(ends) > 0
    for t, i in ends:
        assert steps["lives"][t + 1, i] == 5
        assert steps["reward"][t + 1, i] == 0
        assert not steps["life_lost"][t + 1, i]


def test_life_losses_are_those_the_emulator_signals_itself():
    random = np.random.default_rng(0)
    ours = NativeVectorEnv(BREAKOUT, 3, num_threads=1)
    theirs = AtariVectorEnv("breakout", 3, num_threads=1, reward_clipping=False, life_loss_info=True)
    frames, _ = ours.reset(seed=5)
    their_frames, _ = theirs.reset(seed=np.arange(5, 8))
    np.testing.assert_array_equal(frames, their_frames)
    for _ in range(400):
        actions = random.integers(4, size=3)
        frames, reward, terminated, truncated, infos = ours.step(actions)
        their_frames, their_reward, their_terminated, their_truncated, _ = theirs.step(actions)
        np.testing.assert_array_equal(frames, their_frames)
        np.testing.assert_array_equal(reward, their_reward)
        np.testing.assert_array_equal(terminated | infos["life_lost"], their_terminated)
        np.testing.assert_array_equal(truncated, their_truncated)


def test_a_life_lost_in_the_step_that_reaches_the_time_limit_is_reported_with_it():
    def first_loss(max_frames):
        env = NativeVectorEnv(dataclasses.replace(BREAKOUT, max_frames=max_frames, noop_max=0), 1, num_threads=1)
        _, infos = env.reset(seed=0)
        start = infos["episode_frame_number"][0]
        for _ in range(500):
            _, _, terminated, truncated, infos = env.step(np.ones(1, int))  # FIRE and never move: the ball gets lost
            if infos["life_lost"][0]:
                return int(infos["episode_frame_number"][0] - start), bool(terminated[0]), bool(truncated[0])
        raise AssertionError("no life was lost")

    num_frames, terminated, truncated = first_loss(108_000)
    assert (terminated, truncated) == (False, False)
    assert first_loss(num_frames) == (num_frames, False, True)


def test_rewards_are_the_points_of_the_game():
    env = NativeVectorEnv(dataclasses.replace(BREAKOUT, rom="qbert"), 2, num_threads=1)
    env.reset(seed=0)
    assert play(env, 150)["reward"].max() == 25  # Q*bert scores 25 for a cube


def test_the_same_seed_gives_the_same_games_and_another_seed_others():
    def frames_and_rewards(**reset):
        env = NativeVectorEnv(BREAKOUT, 4, num_threads=2, seeds=[11, 12, 13, 14])
        first, _ = env.reset(**reset)
        return first, play(env, 300)["reward"]

    first, rewards = frames_and_rewards(seed=11)
    again, rewards_again = frames_and_rewards(seed=[11, 12, 13, 14])
    from_config, _ = frames_and_rewards()
    other, _ = frames_and_rewards(seed=100)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(rewards, rewards_again)
    np.testing.assert_array_equal(first, from_config)
    assert not np.array_equal(first, other)


def test_games_of_one_vector_differ_in_their_starts():
    env = NativeVectorEnv(BREAKOUT, 8, num_threads=1)
    _, infos = env.reset(seed=0)
    assert len(set(infos["episode_frame_number"].tolist())) > 3  # 1 to 29 frames in
    assert infos["episode_frame_number"].max() < 30


def test_the_time_limit_truncates_after_that_many_frames():
    env = NativeVectorEnv(dataclasses.replace(BREAKOUT, rom="pong", max_frames=40), 1, num_threads=1)
    env.reset(seed=0)
    steps = play(env, 12)
    assert steps["truncated"][:, 0].tolist() == [False] * 9 + [True] + [False] * 2
    assert not steps["terminated"].any()


def test_the_factory_plays_what_the_configuration_says():
    env = make_atari_vector_env("atari_pong", {**CFG, "env_framestack": 2}, tuple({"seed": s} for s in range(3)))
    assert isinstance(env, VectorEnv)
    assert env.num_envs == 3
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.single_observation_space.shape == (2, 84, 84)
    assert env.single_action_space.n == 6
    assert "autoreset_mode" not in VectorEnv.metadata or VectorEnv.metadata is not env.metadata
    env.close()
    env.close()
