"""Run with `pytest` in this folder, with the package installed."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from my_env_plugin.env import GOAL, TRAIL, WALL, MazeEnv, carve_maze, make_maze
from my_env_plugin.model import MazeCNN
from my_env_plugin.observer import MazeGoal


def test_the_plugin_module_imports_no_simulator():
    code = (
        "import sys, my_env_plugin.plugin as plugin\n"
        "list(plugin.sf_environments()), list(plugin.sf_encoders()), list(plugin.sf_observers())\n"
        "print(sorted({'torch', 'numpy', 'gymnasium'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium's advice on spaces is advice
def test_the_env_keeps_gymnasiums_contract():
    check_env(make_maze("my_maze", SimpleNamespace(maze_size=4), None, "rgb_array"))


@pytest.mark.parametrize("size", [2, 3, 8])
def test_every_room_of_a_maze_can_be_reached(size):
    walls = carve_maze(size, np.random.default_rng(0))
    reached, border = {(1, 1)}, [(1, 1)]
    while border:
        row, column = border.pop()
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if not walls[cell] and cell not in reached:
                reached.add(cell)
                border.append(cell)
    assert {(row, column) for row, column in reached if row % 2 and column % 2} == {
        (row, column) for row in range(1, 2 * size, 2) for column in range(1, 2 * size, 2)
    }
    assert all(edge.all() for edge in (walls[0], walls[-1], walls[:, 0], walls[:, -1]))


def test_one_seed_gives_one_maze_and_the_next_episode_another():
    env, twin = MazeEnv(6), MazeEnv(6)
    env.reset(seed=3), twin.reset(seed=3)
    assert (env._map == twin._map).all()
    env.reset()
    assert (env._map != twin._map).any()


def test_the_view_is_centred_on_the_walker():
    env = MazeEnv(4)
    observation, _ = env.reset(seed=0)
    assert observation["view"][TRAIL, 5, 5] == 1
    assert observation["view"][WALL, 5, 5] == 0
    assert observation["view"].sum(axis=(1, 2))[TRAIL] == 1
    # the goal, if it is near enough, is where the compass points: one room is two cells
    down, right = np.rint(observation["compass"] * 4).astype(int)
    row, column = 5 + 2 * down, 5 + 2 * right
    if 0 <= row < 11 and 0 <= column < 11:
        assert observation["view"][GOAL, row, column] == 1


def test_an_episode_ends_at_the_goal_or_after_the_time_limit_and_says_which():
    env = MazeEnv(2)
    solved = []
    for seed in range(20):
        env.reset(seed=seed)
        # into the same direction for ever: reaches the goal only where it lies straight ahead
        for _ in range(env.max_steps):
            _, reward, terminated, truncated, info = env.step(1)
            if terminated or truncated:
                break
        assert terminated != truncated
        assert reward == (1.0 if terminated else -0.01)
        solved.append(info["episode_extra_stats"]["maze_solved"])
        assert solved[-1] == float(terminated)
    assert 0 < sum(solved) < 20


def test_the_encoder_reads_view_and_compass():
    env = MazeEnv(4)
    encoder = MazeCNN(SimpleNamespace(maze_channels=8), env.observation_space)
    observation = {"view": torch.rand(5, 3, 11, 11), "compass": torch.rand(5, 2)}
    vector = encoder(observation)
    assert vector.shape == (5, encoder.get_out_size())
    for key in observation:
        changed = {**observation, key: observation[key] + 1.0}
        assert not torch.equal(encoder(changed), vector), key


def test_the_observer_stops_the_run_when_enough_mazes_are_solved():
    reasons: list[str] = []
    run = SimpleNamespace(request_stop=reasons.append)
    observer = MazeGoal(SimpleNamespace(maze_goal=0.5))
    failed, solved = ([SimpleNamespace(extra_stats={"maze_solved": x})] for x in (0.0, 1.0))
    observer.on_episodes(run, 0, failed * 51 + solved * 49)
    assert reasons == []
    assert observer.summaries(run, 0, 0) == {"my_maze/solved_share": 0.49}
    observer.on_episodes(run, 0, solved)  # the first failure leaves the window
    assert reasons == ["50% of the last 100 mazes were solved"]
