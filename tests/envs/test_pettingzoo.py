"""PettingZoo's two interfaces, by small envs that keep them, and by PettingZoo's own where it is installed."""

import sys
import types

import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.pettingzoo_envs import make_pettingzoo_env
from sf_core.plugins.plan import EnvPlan
from sf_core.utils.errors import UsageError


class Race:
    """A `ParallelEnv` without PettingZoo: agent k leaves after k + 1 steps, agent "late" comes with step 2 of 3."""

    possible_agents = ("0", "1", "late")
    metadata = types.MappingProxyType({"render_fps": 7})

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.unwrapped = self
        self.seeds, self.asked = [], []

    def observation_space(self, agent):
        return spaces.Box(0, 99, (2,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        self.seeds.append(seed)
        self.count = 0
        self.agents = ["0", "1"]
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.asked.append(actions)
        self.count += 1
        acting = list(self.agents)
        terminated = {agent: agent == "0" and self.count == 1 for agent in acting}
        truncated = {agent: agent != "0" and self.count == 3 for agent in acting}
        observations = self._observations(acting)
        self.agents = [agent for agent in acting if not (terminated[agent] or truncated[agent])]
        if self.count == 2:
            self.agents.append("late")
            observations["late"] = self._observation("late")
        rewards = {agent: 10.0 * self.count + self.possible_agents.index(agent) for agent in acting}
        return (
            observations,
            rewards,
            terminated,
            truncated,
            {agent: {"episode_extra_stats": {"k": 1}} for agent in acting},
        )

    def close(self):
        self.closed = True

    def _observation(self, agent):
        return np.array([self.possible_agents.index(agent), self.count], np.float32)

    def _observations(self, agents=None):
        return {agent: self._observation(agent) for agent in agents or self.agents}


class Duel:
    """An `AECEnv` without PettingZoo: "a" and "b" move in turn; whoever makes the third move wins."""

    possible_agents = ("a", "b")
    render_mode = None

    def observation_space(self, agent):
        return spaces.Dict(board=spaces.Box(0, 9, (1,), np.float32), action_mask=spaces.MultiBinary(4))

    def action_space(self, agent):
        return spaces.Discrete(4)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        self.agent_selection, self.moves = "a", []
        self.rewards, self.infos = dict.fromkeys(self.agents, 0.0), {agent: {} for agent in self.agents}
        self.terminations, self.truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, False)

    def observe(self, agent):
        mask = np.ones(4, np.int8)
        mask[self.moves] = 0
        return {"board": np.array([len(self.moves)], np.float32), "action_mask": mask}

    def last(self):
        raise AssertionError("not needed")

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent]:
            assert action is None
            self.agents.remove(agent)
            self.rewards = dict.fromkeys(self.agents, 0.0)
        else:
            assert action not in self.moves
            self.moves.append(int(action))
            if len(self.moves) == 3:
                self.rewards = {"a": 1.0, "b": -1.0}
                self.terminations = dict.fromkeys(self.agents, True)
        if self.agents:
            others = [other for other in self.agents if other != agent]
            self.agent_selection = others[0] if others else self.agents[0]

    def close(self):
        pass


def vector_of(env, **kwargs):
    plan = EnvPlan(name="zoo", plugin="test", factory=lambda full_env_name, cfg, env_config: env)
    return create_agent_vector(plan, {}, 1, **kwargs)


def actions(*choices):
    return {"action": np.array(choices)}


def test_parallel_agents_come_and_go_and_the_env_is_reset_when_the_last_one_left():
    env = Race()
    vector = vector_of(env)
    assert (vector.num_agents, vector.agents_per_env, vector.render_fps) == (3, 3, 7.0)
    observation = vector.reset()["obs"].copy()
    assert observation.tolist() == [[0, 0], [1, 0], [0, 0]]  # nothing of "late" is known yet

    first = vector.step(actions(1, 2, 0))
    assert env.asked[-1] == {"0": 1, "1": 2}
    assert first.active.tolist() == [True, True, False]
    assert first.reward.tolist() == [10, 11, 0]
    assert (first.terminated.tolist(), first.truncated.tolist()) == ([True, False, False], [False] * 3)
    assert first.extra_stats == {0: {"k": 1.0}}

    second = vector.step(actions(0, 0, 0))
    assert env.asked[-1] == {"1": 0}
    assert second.active.tolist() == [False, True, False]
    assert not second.episode_end.any()
    assert second.episode_start.tolist() == [True, False, True]  # both have yet to take a first step
    assert second.observation["obs"][2].tolist() == [2, 2]

    third = vector.step(actions(0, 1, 2))
    assert env.asked[-1] == {"1": 1, "late": 2}
    assert third.truncated.tolist() == third.final_rows.tolist() == [False, True, True]
    assert third.final_observation["obs"][1:].tolist() == [[1, 3], [2, 3]]
    assert not third.approximate.any()
    assert third.observation["obs"][:2].tolist() == [[0, 0], [1, 0]]
    assert len(env.seeds) == 2
    assert vector.step(actions(0, 0, 0)).active.tolist() == [True, True, False]
    vector.close()
    assert env.closed


def test_agents_that_take_turns_are_active_in_theirs_and_rewards_reach_everybody():
    vector = vector_of(Duel())
    vector.reset()
    steps = []
    for choice in (0, 1, 2, 3):
        step = vector.step(actions(choice, choice))
        steps.append((step.active.tolist(), step.reward.tolist(), step.terminated.tolist()))
    assert steps == [
        ([True, False], [0, 0], [False, False]),
        ([False, True], [0, 0], [False, False]),
        ([True, False], [1, -1], [True, True]),  # the loser hears of it while it waits
        ([True, False], [0, 0], [False, False]),  # the next game
    ]
    assert step.observation["action_mask"].tolist()[1] == [1, 1, 1, 0]


def test_agents_with_different_spaces_are_refused():
    env = Race()
    env.action_space = lambda agent: spaces.Discrete(2 + (agent == "1"))
    with pytest.raises(UsageError, match=r"env 'zoo': agent '1' has another action space than agent '0'.*pad them"):
        vector_of(env)


def test_a_module_is_found_inside_and_outside_of_pettingzoo(monkeypatch):
    module = types.ModuleType("my_zoo_v0")
    module.__spec__ = types.SimpleNamespace(name="my_zoo_v0")
    module.parallel_env = Race
    monkeypatch.setitem(sys.modules, "my_zoo_v0", module)
    assert isinstance(make_pettingzoo_env("pettingzoo:my_zoo_v0", {}, None, "human"), Race)
    assert make_pettingzoo_env("pettingzoo:my_zoo_v0", {}, None, "human").render_mode == "human"
    del module.parallel_env
    with pytest.raises(UsageError, match=r"my_zoo_v0 has neither parallel_env\(\) nor env\(\)"):
        make_pettingzoo_env("pettingzoo:my_zoo_v0", {}, None)
    with pytest.raises(UsageError, match="unknown env 'pettingzoo:no/such_v3'"):
        make_pettingzoo_env("pettingzoo:no/such_v3", {}, None)


def test_the_real_tic_tac_toe_plays_whole_games_with_legal_moves():
    pytest.importorskip("pettingzoo")
    plan = EnvPlan(name="pettingzoo:classic/tictactoe-v3", plugin="core", factory=make_pettingzoo_env)
    vector = create_agent_vector(plan, {}, 2)
    observation, random, games = vector.reset(seed=1), np.random.default_rng(0), 0
    for _ in range(40):
        legal = observation["action_mask"].astype(bool)
        step = vector.step(actions(*(random.choice(np.flatnonzero(row)) if row.any() else 0 for row in legal)))
        assert step.active.reshape(2, 2).sum(1).tolist() == [1, 1]
        ends = step.episode_end.reshape(2, 2)
        np.testing.assert_array_equal(ends[:, 0], ends[:, 1])
        np.testing.assert_array_equal(step.reward.reshape(2, 2).sum(1), [0, 0])
        games += int(ends[:, 0].sum())
        observation = step.observation
    assert games >= 8  # of 9 moves at most
