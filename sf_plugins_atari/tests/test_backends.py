"""The two back ends beside each other on the same seeds and actions: everything a step returns is equal.

Where they cannot agree:

* how many frames a game waits before it starts (here: none), and that they draw that number alike;
* the last observation of a step that was cut short by the end of a game or by the time limit.
"""

from __future__ import annotations

import numpy as np
import pytest
from sf_plugins_atari.envpool_env import EnvPoolVectorEnv
from sf_plugins_atari.factories import make_atari_vector_env
from sf_plugins_atari.options import ARGS
from sf_plugins_atari.roms import playable_roms
from sf_plugins_atari.settings import AtariSettings
from sf_plugins_atari.vector_env import NativeVectorEnv

from sf_core import UsageError

CFG = {"env_frameskip": 4, "env_framestack": 4, "serial_mode": True, "torch_threads": 1}
CFG |= {arg.name: arg.default for arg in ARGS} | {"atari_backend": "envpool"}


@pytest.fixture(scope="module")
def envpool():
    return pytest.importorskip("envpool")


def settings(rom="breakout", **options):
    return AtariSettings(rom=rom, noop_max=0, **options)  # every game starts with FIRE and nothing else


@pytest.mark.parametrize(
    ("options", "num_steps"),
    [
        ({}, 260),
        ({"rom": "seaquest", "sticky_actions": 0.25}, 350),
        ({"rom": "pong", "frame_skip": 5, "frame_stack": 2, "max_frames": 203}, 100),
        ({"full_action_set": True, "episodic_life": False, "frame_stack": 1}, 260),
        ({"grayscale": False, "max_frames": 80}, 60),
    ],
)
def test_a_step_returns_the_same_from_both(envpool, options, num_steps):
    played = settings(**options)
    native = NativeVectorEnv(played, 2, num_threads=1, seeds=[3, 4])
    pool = EnvPoolVectorEnv(played, 2, num_threads=1, seeds=[3, 4])
    assert pool.single_observation_space == native.single_observation_space
    assert pool.single_action_space == native.single_action_space
    assert pool.metadata == native.metadata
    random = np.random.default_rng(0)
    (expected, _), (frames, _) = native.reset(), pool.reset()
    num_ends = num_lost = 0
    ended = np.zeros(2, bool)
    for step in range(num_steps):
        np.testing.assert_array_equal(frames[~ended], expected[~ended], err_msg=f"step {step}")
        assert frames.dtype == expected.dtype
        actions = random.integers(native.single_action_space.n, size=2)
        expected, *expected_rest, expected_infos = native.step(actions)
        frames, *rest, infos = pool.step(actions)
        for name, one, other in zip(("reward", "terminated", "truncated"), rest, expected_rest, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"{name} of step {step}")
        for name in ("lives", "life_lost"):
            np.testing.assert_array_equal(infos[name], expected_infos[name], err_msg=f"{name} of step {step}")
        np.testing.assert_equal(infos.get("episode_extra_stats"), expected_infos.get("episode_extra_stats"))
        ended = rest[1] | rest[2]
        num_ends += int(ended.sum())
        num_lost += int(infos["life_lost"].sum())
    assert num_ends > 0
    assert (num_lost > 0) == (played.episodic_life and played.rom != "pong" and played.max_frames != 80)


def test_envpool_waits_for_fewer_frames_than_asked_for_and_then_presses_fire(envpool):
    import ale_py
    from sf_plugins_atari.roms import rom_path

    def seen(num_noops):
        ale = ale_py.ALEInterface()
        ale.setInt("random_seed", 1)
        ale.loadROM(rom_path("seaquest"))
        ale.reset_game()
        for action in [ale_py.Action.NOOP] * num_noops + [ale_py.Action.FIRE]:
            ale.act(action)
        return ale.getScreenGrayscale().astype(int).sum()

    frames = set()
    for seed in range(1, 5):
        pool = EnvPoolVectorEnv(
            AtariSettings(rom="seaquest", noop_max=6, height=210, width=160), 1, num_threads=1, seeds=[seed]
        )
        frames.add(int(pool.reset()[0][0, -1].astype(int).sum()))
    assert len(frames) > 1
    assert frames <= {seen(num_noops) for num_noops in range(6)}


def test_seeds_decide_the_games_of_envpool(envpool):
    def play(seeds, **reset):
        env = EnvPoolVectorEnv(AtariSettings(rom="breakout"), 2, num_threads=1, seeds=seeds)
        env.reset(**reset)
        random = np.random.default_rng(0)
        frames = [env.step(random.integers(4, size=2))[0] for _ in range(30)]
        env.close()
        return np.stack(frames)

    first = play([5, 6])
    np.testing.assert_array_equal(first, play([5, 6], seed=[5, 6]))
    np.testing.assert_array_equal(first, play([1, 2], seed=5))
    assert not np.array_equal(first, play([1, 2]))
    assert not np.array_equal(play(None), play(None))


def test_the_option_chooses_the_back_end(envpool):
    env = make_atari_vector_env("atari_pong", CFG, ({"seed": 1},))
    assert isinstance(env, EnvPoolVectorEnv)
    env.close()
    env = make_atari_vector_env("atari_pong", CFG | {"atari_backend": "ale"}, ({"seed": 1},))
    assert isinstance(env, NativeVectorEnv)


def test_envpool_has_every_game(envpool):
    assert {"".join(word.capitalize() for word in rom.split("_")) + "-v5" for rom in playable_roms()} <= set(
        envpool.list_all_envs()
    )


def test_without_envpool_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install envpool"):
        make_atari_vector_env("atari_pong", CFG, ({"seed": 1},))
