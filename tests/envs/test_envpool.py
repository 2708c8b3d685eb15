"""EnvPool through send and recv: a pool of our own with the same interface, and the real one where it is installed."""

from collections import deque

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from sf_core.envs.adapters.envpool import EnvPoolVector, is_pool
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.create_env import create_agent_vector
from sf_core.plugins.plan import EnvPlan
from sf_core.testing.fakes import CountingVectorEnv, Script
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError


class FakePool(VectorEnv):
    """EnvPool's interface over counting envs that are done in a random order, a batch at a time."""

    def __init__(self, num_envs, batch_size, script=None, dict_observation=False):
        self.env = CountingVectorEnv(
            num_envs, AutoresetMode.NEXT_STEP, script, reuse_arrays=True, dict_observation=dict_observation
        )
        self.num_envs = num_envs
        self.config = {"num_envs": num_envs, "batch_size": batch_size}
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = self.observation_space = self.env.single_observation_space
        self.single_action_space = self.action_space = self.env.single_action_space
        self.render_mode = None
        self._rng = np.random.default_rng(0)
        self._done = deque()

    def async_reset(self):
        observation, _ = self.env.reset()
        none = np.zeros(self.num_envs)
        self._finish(observation, none.astype(np.float32), none.astype(bool), none.astype(bool))

    def send(self, actions, env_ids):
        assert not self._done, "envs that were not received yet were sent another action"
        in_order = np.empty_like(actions)
        in_order[env_ids] = actions
        self._finish(*self.env.step(in_order)[:4])

    def recv(self):
        return self._done.popleft()

    def close_extras(self, **kwargs):
        self.env.close()

    def _finish(self, observation, reward, terminated, truncated):
        for rows in np.split(self._rng.permutation(self.num_envs), self.num_envs // self.config["batch_size"]):
            part = (
                {key: x[rows] for key, x in observation.items()} if isinstance(observation, dict) else observation[rows]
            )
            infos = {"env_id": rows.astype(np.int32), "players": {"env_id": rows}, "version": np.array(3)}
            self._done.append((part, reward[rows].astype(np.float32), terminated[rows], truncated[rows], infos))


def rows_of(vector, num_steps):
    """Everything a vector says in some steps, acting by env id so that a row in the wrong place shows."""
    said = [{key: x.copy() for key, x in vector.reset().items()}]
    for _ in range(num_steps):
        step = vector.step({"action": np.arange(vector.num_agents) % 2})
        said.append({key: x.copy() for key, x in step.observation.items()})
        for name in ("reward", "terminated", "truncated", "valid", "episode_start", "episode_end"):
            said[-1][f"step/{name}"] = getattr(step, name).copy()
    return said


@pytest.mark.parametrize("dict_observation", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 6])
def test_rows_are_those_of_the_synchronous_env_whatever_the_order_of_batches(batch_size, dict_observation):
    script = Script()
    pool = FakePool(6, batch_size, script, dict_observation)
    synchronous = CountingVectorEnv(6, AutoresetMode.NEXT_STEP, script, dict_observation=dict_observation)
    for one, other in zip(
        rows_of(VectorEnvs(EnvPoolVector(pool)), 20), rows_of(VectorEnvs(synchronous), 20), strict=True
    ):
        assert one.keys() == other.keys()
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    taken = [[int(action) for action in env.actions] for env in pool.env.envs]
    assert all(set(actions) == {env_id % 2} for env_id, actions in enumerate(taken))


def make_fake_pool(full_env_name, cfg, env_configs, render_mode=None):
    return FakePool(len(env_configs), 2)


def test_a_vector_factory_may_return_a_pool():
    plan = EnvPlan("pool", "test", factory=make_fake_pool, vector_factory=make_fake_pool)
    vector = create_agent_vector(plan, AttrDict(), 4)
    assert vector.num_agents == 4
    assert vector.reset()["obs"][:, 0].tolist() == [0, 1, 2, 3]
    vector.close()
    assert not is_pool(CountingVectorEnv(2))


# ---- the package itself ----

REAL = EnvPlan(
    "envpool:CartPole-v1",
    "core",
    factory="sf_core.envs.envpool_envs:make_envpool",
    vector_factory="sf_core.envs.envpool_envs:make_envpool_envs",
)
real = pytest.mark.filterwarnings("ignore::UserWarning")


@real
def test_envpools_cartpole_plays_the_same_in_batches_as_all_at_once():
    envpool = pytest.importorskip("envpool")
    vector = create_agent_vector(REAL, AttrDict(), 6, seed=3)
    seeds = [AttrDict(seed=seed).seed for seed in range(6)]
    pools = [
        EnvPoolVector(envpool.make_gymnasium("CartPole-v1", num_envs=6, batch_size=size, seed=seeds)) for size in (2, 6)
    ]
    one, other = (rows_of(VectorEnvs(pool), 120) for pool in pools)
    for first, second in zip(one, other, strict=True):
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert sum(step["step/terminated"].sum() for step in one[1:]) > 6
    assert len(np.unique(vector.reset()["obs"][:, 0])) == 6  # every env has a seed of its own
    vector.close()
    for pool in pools:
        pool.close()


@real
def test_an_unknown_id_is_one_sentence():
    pytest.importorskip("envpool")
    plan = EnvPlan("envpool:NoSuchEnv-v5", "core", factory=REAL.factory, vector_factory=REAL.vector_factory)
    with pytest.raises(UsageError, match="EnvPool has no env 'NoSuchEnv-v5'"):
        create_agent_vector(plan, AttrDict(), 2)
