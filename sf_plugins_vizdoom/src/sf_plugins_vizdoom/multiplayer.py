"""A game of several agents, in the contract of lists: an entry for each agent in everything.

What comes in: a `Game` and a list of actions. What leaves: lists of observations, rewards, terminated, truncated and
infos. The game starts its next episode itself; `infos[agent]["final_observation"]` keeps what it left behind where
time was up. This file does not know learning.

Every agent is a player with a process and an engine of its own, and all engines join one game over the loopback
interface, where they move in lock step, tic by tic. If one of them dies, all are ended and `PlayerLost` is raised; a
later `reset` starts a new game.

A seed and the same actions give the same game for every agent, from episode to episode, as far as the engines' network
code allows: they adapt to how fast the others' packets come, so that on a busy machine an action may take effect a tic
earlier or later, and after a second of waiting (`viz_sync_timeout`) they go on without the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from sf_core.envs.env_utils import RewardShapingInterface
from sf_plugins_vizdoom import network
from sf_plugins_vizdoom.agent import Agent
from sf_plugins_vizdoom.clock import TicClock
from sf_plugins_vizdoom.game import Game
from sf_plugins_vizdoom.remote_player import PlayerLost, RemotePlayer, call_all
from sf_plugins_vizdoom.screen import Pixels
from sf_plugins_vizdoom.tasks import TICS_PER_SECOND

MAX_SEED = 2**31
LONGEST_CALL_S = 60.0  # after that an engine hangs
_ATTEMPTS = 3  # to start a game; another program may have taken its port


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
        self._players = [RemotePlayer(game.player_maker(self._has_window(index))) for index in range(self.num_agents)]
        self._agents = [Agent(player, game.task, game.controls, game.view) for player in self._players]
        self.observation_space = self._agents[0].observation_space
        self.action_space = game.controls.space
        self._random = np.random.default_rng()
        self._lobby: network.Lobby | None = None
        self._clock = TicClock()

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
        values = [agent.controls.values(action) for agent, action in zip(self._agents, actions, strict=True)]
        earned = self._play(values)
        outcomes = [agent.outcome(reward) for agent, reward in zip(self._agents, earned, strict=True)]
        observations, rewards, over, cut, infos = (list(column) for column in zip(*outcomes, strict=True))
        if any(over) or any(cut):
            cut = [not ended for ended in over]  # it ends for everybody at once
            for agent, info, observation in zip(self._agents, infos, observations, strict=True):
                info |= {**agent.summary(), "final_observation": observation}  # one's engine may be a tic behind
            self._begin_episode()
            observations = [agent.begin() for agent in self._agents]
        return observations, rewards, over, cut, infos

    def render(self) -> Pixels | None:
        """Return the first agent's screen as the engine drew it, [height, width, 3] uint8."""
        return self._players[0].screen.transpose(1, 2, 0).copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """End all engines and their processes; a later `reset` would start others."""
        for player in self._players:
            player.close()  # all of them first: none must wait for another
        for player in self._players:
            player.wait_for_end()
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
        lobby = self._lobby or self._join(seed)
        self._call("new_episode", seed)
        call_all(self._players[:1], "commands", [(lobby.bot_commands(),)], LONGEST_CALL_S)
        self._clock = TicClock()

    def _join(self, seed: int) -> network.Lobby:
        for attempt in range(1, _ATTEMPTS + 1):
            lobby = self._lobby = network.Lobby(self.game.task, self.game.bot_difficulty)
            for player in self._players:
                player.start()
            calls = [(lobby.arguments(index), seed) for index in range(self.num_agents)]
            try:
                numbers = self._call_each("join", calls, network.LONGEST_WAIT_S + LONGEST_CALL_S)
            except PlayerLost:
                if attempt == _ATTEMPTS:
                    raise
            else:
                break
        # Who came first is chance; which agent plays which player is not.
        self._players = [player for _, player in sorted(zip(numbers, self._players, strict=True), key=itemgetter(0))]
        for agent, player in zip(self._agents, self._players, strict=True):
            agent.player = player
        return lobby

    def _play(self, values: Sequence[Sequence[float]]) -> list[float]:
        """For `frame_skip` tics, at real time where somebody watches; returns what each agent has earned."""
        in_real_time = self.render_mode == "human"
        earned = np.zeros(self.num_agents)
        # One by one: the end of an episode reaches one engine a tic before another, which would wait for it forever.
        for tics_left in reversed(range(self.game.frame_skip)):
            earned += self._call_each("play", [(own, 1, in_real_time or tics_left == 0) for own in values])
            if in_real_time:
                self._clock.wait()
            if any(player.is_over for player in self._players):
                break
        rewards: list[float] = earned.tolist()
        return rewards

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        return self._call_each(method, [arguments] * self.num_agents)

    def _call_each(
        self, method: str, arguments: Sequence[Sequence[Any]], longest_s: float = LONGEST_CALL_S
    ) -> list[Any]:
        """A method of all players at once; where one fails, the game ends for all."""
        try:
            return call_all(self._players, method, arguments, longest_s)
        except BaseException:
            self.close()
            raise

    def _has_window(self, index: int) -> bool:
        return self.render_mode == "human" and index == 0
