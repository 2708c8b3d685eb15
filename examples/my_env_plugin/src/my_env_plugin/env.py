"""A maze that is new in every episode: walk from one room to another through the doors between them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left, in rooms
WALL, TRAIL, GOAL = 0, 1, 2  # layers of the map and of the view
RADIUS = 5  # the view reaches two rooms and a half in every direction
VIEW_SIZE = 2 * RADIUS + 1
EXTRA_DOORS = 0.15  # share of the walls that get a door, beyond those that connect all rooms
STEP_REWARD, GOAL_REWARD = -0.01, 1.0
CELL_PIXELS = 8
WHITE, BLACK, BLUE, GREEN, RED = (255, 255, 255), (40, 40, 40), (170, 200, 255), (60, 180, 75), (230, 60, 60)


def make_maze(full_env_name: str, cfg: Any, env_config: Any, render_mode: str | None = None) -> MazeEnv:
    """The factory that `plugin.py` names. `cfg` has the flags of the env, `env_config` says which copy this is."""
    return MazeEnv(cfg.maze_size, render_mode)


class MazeEnv(gym.Env):
    """`size` x `size` rooms on a map of (2 size + 1) x (2 size + 1) cells, where every other cell is a wall or a door.

    Observation: `view`, uint8 [3, 11, 11], walls, rooms already entered and the goal around the walker, 0 or 1;
    `compass`, float32 [2], from the walker to the goal in units of the maze's side.
    Action: 4 directions; walking into a wall is staying. Reward: 1 at the goal, -0.01 per step.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012  as Gymnasium declares it

    def __init__(self, size: int, render_mode: str | None = None) -> None:
        self.size = size
        self.render_mode = render_mode
        self.max_steps = 4 * size * size
        self.observation_space = spaces.Dict(
            {
                "view": spaces.Box(0, 1, (3, VIEW_SIZE, VIEW_SIZE), np.uint8),
                "compass": spaces.Box(-1.0, 1.0, (2,), np.float32),
            }
        )
        self.action_space = spaces.Discrete(len(MOVES))
        # the outside counts as wall, so that the view never leaves the array
        self._map = np.ones((3, 2 * size + 1 + 2 * RADIUS, 2 * size + 1 + 2 * RADIUS), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        cells = slice(RADIUS, -RADIUS)
        self._map[WALL, cells, cells] = carve_maze(self.size, self.np_random)
        self._map[TRAIL:] = 0
        start, goal = self.np_random.choice(self.size**2, 2, replace=False)
        self._walker, self._goal = np.array(divmod(start, self.size)), np.array(divmod(goal, self.size))
        self._map[(GOAL, *self._on_map(self._goal))] = 1
        self._map[(TRAIL, *self._on_map(self._walker))] = 1
        self._num_steps = 0
        return self._observation(), {}

    def step(self, action):
        move = np.array(MOVES[action])
        door = self._on_map(self._walker) + move
        if not self._map[(WALL, *door)]:
            self._walker = self._walker + move
            self._map[(TRAIL, *self._on_map(self._walker))] = 1
        self._num_steps += 1
        solved = bool((self._walker == self._goal).all())
        truncated = not solved and self._num_steps >= self.max_steps
        info: dict[str, Any] = {}
        if solved or truncated:
            explored = int(self._map[TRAIL].sum()) / self.size**2
            info["episode_extra_stats"] = {"maze_solved": float(solved), "maze_explored": explored}
        return self._observation(), GOAL_REWARD if solved else STEP_REWARD, solved, truncated, info

    def render(self) -> np.ndarray:
        """The whole maze from above, uint8 [H, W, 3]."""
        cells = slice(RADIUS, -RADIUS)
        image = np.where(self._map[WALL, cells, cells, None], np.uint8(BLACK), np.uint8(WHITE))
        image[self._map[TRAIL, cells, cells] == 1] = BLUE
        image[tuple(2 * self._goal + 1)] = GREEN
        image[tuple(2 * self._walker + 1)] = RED
        return image.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)

    def _observation(self) -> dict[str, np.ndarray]:
        row, column = self._on_map(self._walker) - RADIUS
        view = self._map[:, row : row + VIEW_SIZE, column : column + VIEW_SIZE].copy()
        return {"view": view, "compass": ((self._goal - self._walker) / self.size).astype(np.float32)}

    @staticmethod
    def _on_map(room: np.ndarray) -> np.ndarray:
        return 2 * room + 1 + RADIUS


def carve_maze(size: int, random: np.random.Generator) -> np.ndarray:
    """Walls of a maze in which every room can be reached, uint8 [2 size + 1, 2 size + 1]: 1 is wall.

    A depth-first walk opens the doors; a few more keep it from having a single way.
    """
    walls = np.ones((2 * size + 1, 2 * size + 1), np.uint8)
    walls[1::2, 1::2] = 0  # rooms
    entered = np.zeros((size, size), bool)
    path = [(0, 0)]
    entered[0, 0] = True
    while path:
        row, column = path[-1]
        ways = [(row + down, column + right, down, right) for down, right in MOVES]
        ways = [way for way in ways if 0 <= way[0] < size and 0 <= way[1] < size and not entered[way[:2]]]
        if not ways:
            path.pop()
            continue
        next_row, next_column, down, right = ways[random.integers(len(ways))]
        walls[2 * row + 1 + down, 2 * column + 1 + right] = 0
        entered[next_row, next_column] = True
        path.append((next_row, next_column))
    doors = random.random(walls.shape) < EXTRA_DOORS
    walls[1:-1:2, 2:-1:2][doors[1:-1:2, 2:-1:2]] = 0
    walls[2:-1:2, 1:-1:2][doors[2:-1:2, 1:-1:2]] = 0
    return walls
