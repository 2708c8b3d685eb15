import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sf_core.envs import create_env as module
from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.create_env import create_agent_vector, create_env
from sf_core.envs.seeding import env_seed, env_seeds
from sf_core.plugins.plan import ComponentRef, EnvPlan
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

CFG = AttrDict(env_frameskip=1)


def plan_of(factory=None, vector_factory=None, **kwargs):
    factory = factory or (lambda name, cfg, env_config: CountingEnv(env_config.env_id))
    return EnvPlan(name="maze", plugin="test", factory=factory, vector_factory=vector_factory, **kwargs)


def test_single_envs_get_their_numbers_and_seeds():
    configs = []

    def factory(name, cfg, env_config, render_mode=None):
        configs.append((name, cfg is CFG, dict(env_config), render_mode))
        return CountingEnv(env_config.env_id)

    vector = create_agent_vector(
        plan_of(factory), CFG, 2, worker_index=3, first_env_id=6, first_vector_index=4, seed=9, render_mode="rgb_array"
    )
    assert isinstance(vector, SingleEnvs)
    assert configs == [
        (
            "maze",
            True,
            {"worker_index": 3, "vector_index": 4 + i, "env_id": 6 + i, "seed": env_seed(9, 6 + i)},
            "rgb_array",
        )
        for i in range(2)
    ]
    vector.reset()
    assert [env.seeds for env in vector._envs] == [[seed] for seed in env_seeds(9, 2, 6)]


def test_a_vector_factory_is_preferred_and_told_all_numbers():
    seen = []

    def vector_factory(name, cfg, env_configs):
        seen.append(env_configs)
        return CountingVectorEnv(len(env_configs))

    vector = create_agent_vector(plan_of(vector_factory=vector_factory), CFG, 3, first_env_id=1, seed=2)
    assert isinstance(vector, VectorEnvs)
    assert [config.env_id for config in seen[0]] == [1, 2, 3]
    vector.reset()
    assert [env.seeds for env in vector._env.envs] == [[seed] for seed in env_seeds(2, 3, 1)]


def add_one(env, cfg, env_config):
    env.env_id += 1
    return env


def test_a_chosen_wrapper_makes_the_run_use_single_envs():
    plan = plan_of(
        vector_factory=lambda name, cfg, env_configs: CountingVectorEnv(len(env_configs)),
        wrappers=(ComponentRef("add_one", "test", add_one),),
    )
    vector = create_agent_vector(plan, CFG, 2)
    assert isinstance(vector, SingleEnvs)
    assert vector.reset()["obs"][:, 0].tolist() == [1, 2]


def test_several_agents_are_noticed():
    vector = create_agent_vector(plan_of(lambda name, cfg, env_config: CountingMultiAgentEnv(3)), CFG, 2)
    assert isinstance(vector, MultiAgentEnvs)
    assert vector.num_agents == 6


def test_a_factory_may_return_one_vector_env_itself():
    def factory(name, cfg, env_config):
        return SyncVectorEnv([CountingEnv, CountingEnv], autoreset_mode=AutoresetMode.NEXT_STEP)

    vector = create_agent_vector(plan_of(factory), CFG, 1)
    assert isinstance(vector, VectorEnvs)
    assert vector.num_envs == 2
    with pytest.raises(UsageError, match="env 'maze': its factory returns a vector env, and 2 were asked for"):
        create_agent_vector(plan_of(factory), CFG, 2)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (plan_of(lambda *a: None), r"returned a NoneType without a method reset\(\); return a Gymnasium env"),
        (plan_of(vector_factory=lambda *a: CountingEnv()), "vector_factory returned a CountingEnv; return a gymnasium"),
        (plan_of(vector_factory=lambda *a: CountingVectorEnv(5)), "made 5 envs where 2 were asked for"),
    ],
)
def test_what_cannot_be_stepped_is_refused(plan, sentence):
    with pytest.raises(UsageError, match=f"env 'maze': its .*{sentence}"):
        create_agent_vector(plan, CFG, 2)


def test_envs_made_before_one_that_fails_are_closed():
    made = []

    def factory(name, cfg, env_config):
        if env_config.env_id == 2:
            raise RuntimeError("no more memory")
        made.append(CountingEnv())
        return made[-1]

    with pytest.raises(RuntimeError, match="no more memory"):
        create_agent_vector(plan_of(factory), CFG, 3)
    assert [env.closed for env in made] == [True, True]


def test_worker_init_runs_once_in_a_process(monkeypatch):
    monkeypatch.setattr(module, "_initialised", set())
    calls = []
    plan = plan_of(worker_init=lambda cfg, worker_index: calls.append(worker_index))
    create_agent_vector(plan, CFG, 1, worker_index=5)
    create_agent_vector(plan, CFG, 1, worker_index=5)
    assert calls == [5]


def test_an_env_is_made_by_its_name_as_scripts_for_sample_factory_do():
    env = create_env("CartPole-v1", CFG, AttrDict(worker_index=0, vector_index=0, env_id=0, seed=1))
    assert env.spec.id == "CartPole-v1"
    env.close()
    env = create_env("py:sf_core.testing.fakes:make_counting_env", CFG)
    assert isinstance(env, CountingEnv)
    with pytest.raises(UsageError, match="no_such_env"):
        create_env("no_such_env", CFG)


class Team(CountingMultiAgentEnv, gym.Env):
    """A `gym.Env`, so that Gymnasium's wrappers take it."""


class AgainstABot(gym.Wrapper):
    """Plays the other agents itself and says so."""

    is_multiagent = False

    def reset(self, **kwargs):
        observations, infos = self.env.reset(**kwargs)
        return observations[0], infos[0]

    def step(self, action):
        return tuple(results[0] for results in self.env.step([action, 0]))


@pytest.mark.parametrize("says_so", [True, False])
def test_a_wrapped_env_has_the_agents_of_what_it_wraps(says_so):
    def wrapped(*_):
        env = Team()
        if not says_so:
            del env.is_multiagent  # two agents say enough
        return gym.Wrapper(gym.Wrapper(env))

    vector = create_agent_vector(plan_of(wrapped), CFG, 2)
    assert isinstance(vector, MultiAgentEnvs)
    assert vector.agents_per_env == 2
    vector.reset(seed=0)
    vector.step({"action": np.zeros(4, np.int64)})


def test_a_wrapper_may_leave_one_agent_to_the_policy():
    alone = create_agent_vector(plan_of(lambda *_: AgainstABot(Team())), CFG, 1)
    assert isinstance(alone, SingleEnvs)
    alone.reset(seed=0)
    alone.step({"action": np.zeros(1, np.int64)})
