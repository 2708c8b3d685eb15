import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from sf_core.algo.utils.spaces.discretized import Discretized
from sf_core.envs import env_wrappers as wrappers
from sf_core.envs.spaces import action_parts
from sf_core.utils.errors import UsageError


class Game(gym.Env):
    """Frames whose value is the step; ends after 9 steps; life lost at step 4."""

    def __init__(self, space=None):
        self.observation_space = space or spaces.Box(0, 255, (8, 4, 3), np.uint8)
        self.action_space = spaces.Discrete(4)
        self.ale = self
        self.actions = []

    def get_action_meanings(self):
        return ["NOOP", "FIRE", "UP", "DOWN"]

    def lives(self):
        return 3 - (self.count >= 4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._frame(), {}

    def step(self, action):
        self.actions.append(action)
        self.count += 1
        return self._frame(), 2.5, self.count == 9, False, {"num_frames": 2}

    def _frame(self):
        frame = np.zeros(self.observation_space.shape, np.uint8)
        frame[self.count % 2 :: 2] = self.count
        return frame


def steps(env, number):
    env.reset(seed=1)
    return [env.step(0) for _ in range(number)]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (2, 2)),
        ({"add_channel_dim": True}, (2, 2, 1)),
        ({"grayscale": False}, (2, 2, 3)),
        ({"grayscale": False, "area_interpolation": True}, (2, 2, 3)),
    ],
)
def test_images_are_resized_as_their_space_says(options, shape):
    env = wrappers.ResizeWrapper(Game(), 2, 2, **options)
    assert env.observation_space.shape == shape
    observation = steps(env, 2)[-1][0]
    assert observation in env.observation_space
    if options.get("area_interpolation"):
        assert (observation == 1).all()  # half of the rows are 2, the others 0


def test_only_the_images_of_a_dict_are_resized():
    space = spaces.Dict(view=spaces.Box(0, 255, (6, 6), np.uint8), speed=spaces.Box(-1, 1, (2,)))
    env = wrappers.ResizeWrapper(Game(), 3, 2)
    inner = gym.wrappers.TransformObservation(
        Game(), lambda o: {"view": o[:6, :, 0].repeat(2, 1)[:, :6], "speed": np.zeros(2, np.float32)}, space
    )
    env = wrappers.ResizeWrapper(inner, 3, 2)
    assert env.observation_space["view"].shape == (2, 3)
    assert env.reset()[0] in env.observation_space
    with pytest.raises(UsageError, match="needs images of uint8"):
        wrappers.ResizeWrapper(Game(spaces.Box(0, 1, (3,))), 2, 2)


def test_channels_come_first():
    env = wrappers.PixelFormatChwWrapper(Game())
    assert env.observation_space.shape == (3, 8, 4)
    assert env.reset()[0] in env.observation_space


def test_rewards_are_scaled_or_only_their_sign():
    assert steps(wrappers.RewardScalingWrapper(Game(), 0.1), 1)[0][1] == 0.25
    assert steps(wrappers.ClipRewardEnv(Game()), 1)[0][1] == 1.0


def test_a_time_limit_counts_simulator_steps_and_truncates():
    results = steps(wrappers.TimeLimitWrapper(Game(), 6), 3)
    assert [truncated for _, _, _, truncated, _ in results] == [False, False, True]
    env, limits = wrappers.TimeLimitWrapper(Game(), 6, random_variation_steps=2), set()
    env.reset(seed=0)
    for _ in range(50):
        env.reset()
        limits.add(env._frames_allowed)
    assert limits == {4, 5, 6, 7, 8}


def test_an_action_is_repeated_and_flicker_is_gone():
    env = Game()
    observation, reward, terminated, *_ = steps(wrappers.MaxAndSkipEnv(env), 1)[0]
    assert env.actions == [0] * 4
    assert reward == 10.0
    assert observation[:, 0, 0].tolist() == [4, 3] * 4  # frames 3 and 4
    env.metadata = {"render_modes": ["rgb_array"], "render_fps": 60}
    assert wrappers.MaxAndSkipEnv(env, 4).metadata == {"render_modes": ["rgb_array"], "render_fps": 15}
    assert env.metadata["render_fps"] == 60
    observation, reward, terminated, *_ = steps(wrappers.MaxAndSkipEnv(Game(), 4), 3)[-1]
    assert terminated
    assert reward == 2.5
    assert observation[:, 0, 0].tolist() == [0, 9] * 4  # the ninth frame alone, nothing of the action before


def test_episodes_begin_with_noops_or_fire():
    env = Game()
    wrapped = wrappers.NoopResetEnv(env, 5)
    numbers = set()
    wrapped.reset(seed=0)
    for _ in range(40):
        env.actions.clear()
        wrapped.reset()
        numbers.add(len(env.actions))
        assert set(env.actions) == {0}
    assert numbers == {1, 2, 3, 4, 5}
    env.actions.clear()
    wrappers.FireResetEnv(env).reset()
    assert env.actions == [1, 2]
    env.get_action_meanings = lambda: ["UP", "DOWN", "LEFT"]
    with pytest.raises(UsageError, match="action 0 of this env is not NOOP; it has UP, DOWN, LEFT"):
        wrappers.NoopResetEnv(env)


def test_a_lost_life_is_said_and_ends_no_episode():
    results = steps(wrappers.EpisodicLifeEnv(Game()), 9)
    assert [info["life_lost"] for *_, info in results] == [False] * 3 + [True] + [False] * 5
    assert [terminated for _, _, terminated, _, _ in results] == [False] * 8 + [True]


def test_episodes_are_counted():
    env = wrappers.EpisodeCounterWrapper(Game())
    for number in (1, 2):
        assert steps(env, 9)[-1][-1]["episode_extra_stats"] == {"episode_number": number}


def test_a_recording_has_every_frame_and_action_and_the_return_in_its_name(tmp_path):
    env = wrappers.RecordingWrapper(Game(), tmp_path, 1)
    steps(env, 3)
    env.close()
    (folder,) = tmp_path.iterdir()
    assert folder.name == "ep_000_p1_r7.50"
    assert sorted(path.name for path in folder.glob("*.png")) == ["00000.png", "00001.png", "00002.png"]
    assert json.loads((folder / "actions.json").read_text()) == [0, 0, 0]


def test_recordings_of_another_run_stay_as_they_are(tmp_path):
    (tmp_path / "ep_001_p1").mkdir()  # of one that was killed
    for _ in range(2):
        env = wrappers.RecordingWrapper(Game(), tmp_path, 1)
        steps(env, 3)
        env.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["ep_000_p1_r7.50", "ep_001_p1", "ep_002_p1_r7.50"]


def test_observations_become_arrays():
    class Lists(Game):
        def _frame(self):
            return super()._frame().tolist()

    assert isinstance(wrappers.NumpyObsWrapper(Lists()).reset()[0], np.ndarray)


def test_discretized_numbers_reach_both_ends_and_are_choices_to_the_policy():
    space = Discretized(5, -1.0, 1.0)
    assert [space.to_continuous(i) for i in range(5)] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert action_parts(space)[0].sizes == (5,)
    with pytest.raises(ValueError, match="2 choices or more"):
        Discretized(1, 0, 1)
