"""Both back ends beside Sample Factory's wrapper stack, written out literally, on the same seeds and presses.

The stack is the one of Sample Factory's `atari_utils.py` (which took it from OpenAI Baselines): no-op reset, skip 4
with max-pooling over colour screens, one episode per life, fire reset, sign of the reward, 84x84, grey, stack of 4.
Known differences, and how each test deals with them:

* who starts a game: the stack presses FIRE and then action 2 for a whole step each, also after every lost life, and
  a no-op step before that; the back ends press FIRE for one frame at the start of a game and the agent does the rest.
  The tests switch that off and press the same buttons as actions.
* the stack waits 1 to 30 frames before a game, and so does EnvPool in a game that it need not start with FIRE; natively
  it is 0 to 29. The tests choose the least, so the stack does 0 or 1 no-ops.
* the stack forgets its frames at a lost life; in the back ends they stay.
* the stack pools and shrinks in colour before it turns grey; the back ends do it the other way round, a rounding apart
  unless a coloured object flickers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import ale_py
import gymnasium
import numpy as np
import pytest
from sf_plugins_atari.envpool_env import EnvPoolVectorEnv
from sf_plugins_atari.settings import AtariSettings
from sf_plugins_atari.vector_env import NativeVectorEnv

cv2 = pytest.importorskip("cv2")
gymnasium.register_envs(ale_py)


@dataclass
class LiteralStack:
    """One env through the wrappers, one emulator frame at a time."""

    gym_id: str
    seed: int
    noops: int
    lives: int = 0
    game_over: bool = True
    full_score: float = 0.0
    pressed: list[int] = field(default_factory=list)  # every action that took a step of 4 frames, whoever chose it
    frames: deque = field(default_factory=lambda: deque(maxlen=4))

    def __post_init__(self):
        self.env = gymnasium.make(self.gym_id, frameskip=1, repeat_action_probability=0.0).unwrapped
        self.has_fire = "FIRE" in self.env.get_action_meanings()

    def skip_4(self, action):
        self.pressed.append(action)
        screens, reward = [], 0.0
        for _ in range(4):
            screen, points, self.game_over, _, _ = self.env.step(action)
            screens.append(screen)
            reward += points
            if self.game_over:
                break
        self.full_score += reward
        return np.stack(screens[-2:]).max(axis=0), reward

    def see(self, screen):
        small = cv2.resize(screen, (84, 84), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)

    def step(self, action):
        screen, reward = self.skip_4(action)
        lives = self.env.ale.lives()
        life_lost = 0 < lives < self.lives
        self.lives = lives
        self.frames.append(self.see(screen))
        return np.stack(self.frames), float(np.sign(reward)), self.game_over or life_lost

    def reset(self):
        if self.game_over:
            screen, _ = self.env.reset(seed=self.seed)
            for _ in range(self.noops):
                screen, *_ = self.env.step(0)
            self.full_score = 0.0
        else:
            screen, _ = self.skip_4(0)
        self.lives = self.env.ale.lives()
        if self.has_fire:
            for action in (1, 2):
                screen, _ = self.skip_4(action)
        self.frames.extend([self.see(screen)] * 4)
        return np.stack(self.frames)


@pytest.fixture(params=["ale", "envpool"])
def backend(request):
    """`make(rom)` of one back end, and the no-ops that it cannot do without."""
    if request.param == "envpool":
        pytest.importorskip("envpool")
    make_games, noops = {"ale": (NativeVectorEnv, 0), "envpool": (EnvPoolVectorEnv, 1)}[request.param]

    def make(rom):
        return make_games(AtariSettings(rom=rom, noop_max=0, fire_reset=False), 1, num_threads=1, seeds=[7])

    return make, noops


@pytest.mark.parametrize(
    ("rom", "gym_id"), [("breakout", "ALE/Breakout-v5"), ("pong", "ALE/Pong-v5"), ("qbert", "ALE/Qbert-v5")]
)
def test_rewards_ends_lives_and_scores_equal_those_of_the_literal_stack(backend, rom, gym_id):
    make, noops = backend
    literal, env = LiteralStack(gym_id, seed=7, noops=noops), make(rom)
    random = np.random.default_rng(0)
    env.reset(seed=7)
    literal.reset()
    full_score, lost, games = 0.0, 0, 0
    num_actions = env.single_action_space.n
    for step in range(500 if rom == "breakout" else 1000):
        # what the stack pressed by itself since the last step, the native env is told to press
        for action in literal.pressed:
            _, reward, terminated, _, infos = env.step(np.array([action]))
            full_score += reward[0]
            assert not terminated[0]
            assert not infos["life_lost"][0]
        literal.pressed.clear()

        action = int(random.integers(num_actions))
        _, clipped, done = literal.step(action)
        literal.pressed.clear()
        _, reward, terminated, truncated, infos = env.step(np.array([action]))
        full_score += reward[0]
        assert np.clip(reward[0], -1, 1) == clipped, f"step {step}"
        assert (terminated[0] or infos["life_lost"][0]) == done, f"step {step}"
        assert terminated[0] == literal.game_over
        assert infos["lives"][0] == literal.lives
        assert not truncated[0]
        lost += int(infos["life_lost"][0])
        if terminated[0]:
            assert full_score == literal.full_score  # the whole game, not one life of it, and not clipped
            games += 1
            full_score = 0.0
            env.reset(seed=7)
        if done:
            literal.reset()
    assert games > 0
    assert lost > 0 or rom == "pong"  # Pong has no lives


def test_frames_agree_with_the_literal_stack_up_to_rounding_until_a_life_is_lost(backend):
    make, noops = backend
    literal, env = LiteralStack("ALE/Breakout-v5", seed=7, noops=noops), make("breakout")
    random = np.random.default_rng(1)
    env.reset(seed=7)
    literal.reset()
    for action in literal.pressed:
        env.step(np.array([action]))
    compared = 0
    for _ in range(60):
        action = int(random.integers(4))
        expected, _, done = literal.step(action)
        seen, *_ = env.step(np.array([action]))
        if done:
            break
        compared += 1
        if compared >= 4:  # by then both stacks hold frames of steps only
            assert np.abs(seen[0].astype(int) - expected).max() <= 2
    assert compared >= 20


def test_the_stack_of_frames_goes_on_through_a_lost_life(backend):
    env = backend[0]("breakout")
    random = np.random.default_rng(0)
    before, _ = env.reset(seed=0)
    for _ in range(400):
        after, _, _, _, infos = env.step(random.integers(4, size=1))
        if infos["life_lost"][0]:
            np.testing.assert_array_equal(after[0, :3], before[0, 1:])
            return
        before = after
    pytest.fail("no life was lost")
