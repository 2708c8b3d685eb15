"""A game of several agents, in the contract of lists: an entry for each agent in everything.

What comes in: a `Game` and a list of actions. What leaves: lists of observations, rewards, terminated, truncated and
infos. The game starts its next episode itself; `infos[agent]["final_observation"]` keeps what it left behind where
time was up. This file does not know learning.

Every agent is a player with an engine of its own, and all of them join one game over the loopback interface. The
engines move in lock step, tic by tic, each from a thread of its own: one that ran ahead would wait for the others. If
one of them dies, all are ended and the error is raised; a later `reset` starts a new game.

A seed fixes the maps, the monsters and the starting points, but not every tic: the engine's network code may apply an
action one tic earlier or later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np
import vizdoom

from sf_core.envs.env_utils import RewardShapingInterface
from sf_plugins_vizdoom import network
from sf_plugins_vizdoom.agent import Agent
from sf_plugins_vizdoom.game import Game
from sf_plugins_vizdoom.screen import Pixels
from sf_plugins_vizdoom.tasks import TICS_PER_SECOND

MAX_SEED = 2**31
LONGEST_TIC_S = 60.0  # after that an engine hangs
_ATTEMPTS = 3  # to start a game; another program may have taken its port
_BETWEEN_STARTS_S = 0.1  # the vizdoom package can crash where two engines start in the same instant of one process
_Result = TypeVar("_Result")


class EngineHangs(RuntimeError):  # noqa: N818 - it says what is the matter
    """An engine neither moved nor died."""


class MultiDoomEnv(RewardShapingInterface):
    """Several agents in one game."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"]}  # noqa: RUF012  # as Gymnasium declares it
    is_multiagent = True

    def __init__(self, game: Game, render_mode: str | None = None) -> None:
        """Prepare; no engine is started yet.

        Args:
            game: what is played and how.
            render_mode: None, "rgb_array" or "human": what the first agent sees.
        """
        self.game = game
        self.num_agents = game.task.num_agents
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": TICS_PER_SECOND / game.frame_skip}
        self._agents = [
            Agent(game.player(self._has_window(index)), game.task, game.controls, game.view)
            for index in range(self.num_agents)
        ]
        self.observation_space = self._agents[0].observation_space
        self.action_space = game.controls.space
        self._random = np.random.default_rng()
        self._lobby: network.Lobby | None = None
        self._threads: ThreadPoolExecutor | None = None

    def reset(self, seed: int | None = None) -> tuple[list[Any], list[dict[str, Any]]]:
        """Start a new episode for everybody, and the engines if they do not run."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
            self.close()  # a game that goes on would carry over the state of its random numbers
        self._begin_episode()
        return [agent.begin() for agent in self._agents], [{} for _ in self._agents]

    def step(
        self, actions: Sequence[Any]
    ) -> tuple[list[Any], list[float], list[bool], list[bool], list[dict[str, Any]]]:
        """Everybody holds an action for `frame_skip` tics, or until the episode ends."""
        for agent, action in zip(self._agents, actions, strict=True):
            agent.act(action)
        earned = np.zeros(self.num_agents)
        for _ in range(self.game.frame_skip):
            earned += self._together(lambda index: self._agents[index].player.advance(1))
            if any(agent.player.is_over for agent in self._agents):
                break
        outcomes = [agent.outcome(reward) for agent, reward in zip(self._agents, earned.tolist(), strict=True)]
        observations, rewards, over, cut, infos = (list(column) for column in zip(*outcomes, strict=True))
        if any(over) or any(cut):
            cut = [not ended for ended in over]  # it ends for everybody at once
            for info, observation in zip(infos, observations, strict=True):
                info["final_observation"] = observation
            self._begin_episode()
            observations = [agent.begin() for agent in self._agents]
        return observations, rewards, over, cut, infos

    def render(self) -> Pixels | None:
        """Return the first agent's screen as the engine drew it, [height, width, 3] uint8."""
        return self._agents[0].player.screen.transpose(1, 2, 0).copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """End all engines; a later `reset` would start others."""
        for agent in self._agents:
            agent.player.engine.kill()  # all of them first: none must wait for another
        for agent in self._agents:
            agent.player.engine.close()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        if self._lobby is not None:
            self._lobby.close()
            self._lobby = None

    def get_default_reward_shaping(self) -> dict[str, Any] | None:
        """The weights of the shaping, `{"delta": ..., "selected_weapon": ...}`; None where there are none."""
        return self._agents[0].weights()

    def set_reward_shaping(self, reward_shaping: Mapping[str, Any], agent_index: int | slice) -> None:
        """Use other weights for one agent, or several, from now on."""
        chosen = self._agents[agent_index] if isinstance(agent_index, slice) else [self._agents[agent_index]]
        for agent in chosen:
            agent.set_weights(reward_shaping)

    def _begin_episode(self) -> None:
        # Engines of one game must draw the same random numbers, or they would disagree about what happens.
        seed = int(self._random.integers(MAX_SEED))
        if self._lobby is None:
            self._join(seed)
        self._together(lambda index: self._agents[index].player.new_episode(seed))
        if self._lobby is not None:
            self._lobby.add_bots(self._agents[0].player.game)

    def _join(self, seed: int) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self._lobby = network.Lobby(self.game.task, self.game.bot_difficulty)
            for index, agent in enumerate(self._agents):
                agent.player = self.game.player(self._has_window(index))
                agent.player.game.add_game_args(self._lobby.arguments(index))
                agent.player.game.set_seed(seed)
            try:
                self._together(self._start)
            except (vizdoom.ViZDoomErrorException, vizdoom.ViZDoomUnexpectedExitException):
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _start(self, index: int) -> None:
        time.sleep(_BETWEEN_STARTS_S * index)
        self._agents[index].player.engine.start()

    def _together(self, move: Callable[[int], _Result]) -> list[_Result]:
        """`move(index)` for every agent at once; where one fails, the game ends for all."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.num_agents, thread_name_prefix="doom")
        moves = [self._threads.submit(move, index) for index in range(self.num_agents)]
        done, waiting = wait(moves, LONGEST_TIC_S, FIRST_EXCEPTION)
        error = next((failed for future in moves if future in done and (failed := future.exception())), None)
        if error is not None or waiting:
            for agent in self._agents:
                agent.player.engine.kill()  # frees the threads that wait for it
            wait(waiting, LONGEST_TIC_S)
            self.close()
            raise error or EngineHangs(f"an engine did not move for {LONGEST_TIC_S:.0f} s")
        return [future.result() for future in moves]

    def _has_window(self, index: int) -> bool:
        return self.render_mode == "human" and index == 0
