"""What each adapter says of a step, beyond what the golden test of tests/invariants covers."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sf_core.envs.adapters.common import tell_whose
from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.env_utils import TrainingInfoInterface
from sf_core.envs.seeding import SeedSource, env_seeds
from sf_core.plugins.plan import describe_error
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv, Script

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
ACTIONS = {"action": np.zeros(2, np.int64)}


def kinds(script, **vector_options):
    def native(mode, **options):
        return VectorEnvs(CountingVectorEnv(2, mode, script, **options, **vector_options))

    def gymnasium(mode):
        env_fns = [lambda env_id=env_id: CountingEnv(env_id, script) for env_id in range(2)]
        return VectorEnvs(SyncVectorEnv(env_fns, autoreset_mode=mode))

    return {
        "single": SingleEnvs([CountingEnv(i, script) for i in range(2)]),
        "native next": native(NEXT_STEP),
        "native same, full": native(SAME_STEP),
        "native same, object": native(SAME_STEP, final_obs="object"),
        "native disabled": native(DISABLED),
        "gymnasium next": gymnasium(NEXT_STEP),
        "gymnasium same": gymnasium(SAME_STEP),
        "gymnasium disabled": gymnasium(DISABLED),
        "multi-agent": MultiAgentEnvs([CountingMultiAgentEnv(2, script)]),
    }


KINDS = list(kinds(Script()))


@pytest.mark.parametrize("kind", KINDS)
def test_stats_of_an_episode_arrive_with_the_step_that_ends_it_and_at_no_other(kind):
    vector = kinds(Script(lengths=(3,)))[kind]
    vector.reset()
    steps = [vector.step(ACTIONS) for _ in range(3)]
    assert [step.extra_stats for step in steps[:2]] == [{}, {}]
    assert steps[2].episode_end.all()
    assert steps[2].extra_stats == {row: {"episode_number": 0.0, "true_objective": 0.0} for row in range(2)}


@pytest.mark.parametrize("kind", KINDS)
def test_both_flags_set_is_a_termination(kind):
    vector = kinds(Script(lengths=(2,), ends=("both",)))[kind]
    vector.reset()
    vector.step(ACTIONS)
    step = vector.step(ACTIONS)
    assert step.terminated.all()
    assert not step.truncated.any()
    assert not step.final_rows.any()
    assert not step.approximate.any()
    assert step.episode_end.all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_life_cuts_learning_and_nothing_else(kind):
    vector = kinds(Script(lengths=(5,), lives_lost=(2,)))[kind]
    vector.reset()
    first, second, third = (vector.step(ACTIONS) for _ in range(3))
    assert not first.terminated.any()
    assert second.terminated.all()
    assert second.episode_start.all()
    assert not second.episode_end.any()
    assert third.valid.all()
    assert not third.episode_start.any()
    assert third.observation["obs"][:, 2].tolist() == [3, 3]  # the env went on


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncation_with_the_last_life_is_a_termination(kind):
    vector = kinds(Script(lengths=(2,), ends=("truncated",), lives_lost=(2,)))[kind]
    vector.reset()
    vector.step(ACTIONS)
    step = vector.step(ACTIONS)
    assert step.terminated.all()
    assert not step.truncated.any()
    assert step.episode_end.all()


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes_are_those_of_the_record(kind):
    options = {"int_reward": True} if kind.startswith("native") else {}
    vector = kinds(Script(lengths=(2,), ends=("truncated",)), **options)[kind]
    vector.reset()
    for _ in range(4):
        step = vector.step(ACTIONS)
        assert step.reward.dtype == np.float32
        for name in ("terminated", "truncated", "valid", "active", "episode_start", "episode_end", "final_rows"):
            array = getattr(step, name)
            assert (array.dtype, array.shape) == (bool, (2,)), name
        assert step.observation["obs"].shape == (2, 3)


def test_a_row_that_only_resets_says_so():
    vector = VectorEnvs(CountingVectorEnv(2, NEXT_STEP, Script(lengths=(1, 2), ends=("truncated",))))
    vector.reset()
    step = vector.step(ACTIONS)  # env 0 is over after one step, env 1 after two
    assert step.truncated.tolist() == [True, False]
    assert step.episode_start.tolist() == [False, False]  # the observation is the final one
    assert step.observation["obs"][0].tolist() == [0, 0, 1]
    step = vector.step(ACTIONS)
    assert step.valid.tolist() == [False, True]
    assert step.episode_start.tolist() == [True, False]
    assert step.reward[0] == 0
    assert step.truncated.tolist() == [False, True]


class RewardOnReset(CountingVectorEnv):
    """A careless NEXT_STEP env: it repeats reward and flags on the row that only resets."""

    def step(self, actions):
        resetting = self._over.copy()
        observation, reward, terminated, truncated, infos = super().step(actions)
        return observation, np.where(resetting, 9.0, reward), terminated | resetting & self.repeat, truncated, infos

    repeat = np.array([False, False])


def test_what_an_env_claims_on_a_row_that_only_resets_is_ignored():
    vector = VectorEnvs(RewardOnReset(2, NEXT_STEP, Script(lengths=(2,), ends=("truncated",))))
    vector.reset()
    steps = [vector.step(ACTIONS) for _ in range(4)]
    assert steps[2].reward.tolist() == [0, 0]
    assert not steps[2].valid.any()
    assert steps[3].valid.all()


def test_an_episode_without_a_step_is_no_episode():
    # the reset row itself says "terminated": the episode it began is over, and the next row resets again
    env = RewardOnReset(2, NEXT_STEP, Script(lengths=(2,), ends=("truncated",)))
    env.repeat = np.array([True, False])
    vector = VectorEnvs(env)
    vector.reset()
    steps = [vector.step(ACTIONS) for _ in range(4)]
    assert steps[2].valid.tolist() == [False, False]
    assert steps[2].terminated.tolist() == [False, False]
    assert steps[2].episode_end.tolist() == [False, False]
    assert steps[3].valid.tolist() == [False, True]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "next" not in kind])
def test_an_env_that_resets_at_once_never_gives_an_invalid_row(kind):
    vector = kinds(Script(lengths=(2,), ends=("truncated",)))[kind]
    vector.reset()
    for _ in range(5):
        step = vector.step(ACTIONS)
        assert step.valid.all()
        np.testing.assert_array_equal(step.final_rows | step.approximate, step.truncated)
        np.testing.assert_array_equal(step.episode_start, step.truncated)
        if step.final_rows.any():
            np.testing.assert_array_equal(
                step.final_observation["obs"],
                [[0, step.observation["obs"][0, 1] - 1, 2], [1, step.observation["obs"][1, 1] - 1, 2]],
            )


def test_only_the_rows_that_truncated_have_final_observations():
    script = Script(lengths=(2, 3), ends=("truncated",))
    for kind in ("single", "native same, full", "native same, object", "native disabled", "gymnasium same"):
        vector = kinds(script)[kind]
        vector.reset()
        assert vector.step(ACTIONS).final_observation is None
        step = vector.step(ACTIONS)
        assert step.final_rows.tolist() == [True, False]
        assert step.final_observation["obs"][0].tolist() == [0, 0, 2]
        assert step.observation["obs"].tolist() == [[0, 1, 0], [1, 0, 2]]


class Forgetful(CountingVectorEnv):
    """Gives the final observation of env 0 only; says so with the mask, or with None."""

    def __init__(self, with_mask, **kwargs):
        super().__init__(2, SAME_STEP, Script(lengths=(2,), ends=("truncated",)), **kwargs)
        self._with_mask = with_mask

    def step(self, actions):
        observation, reward, terminated, truncated, infos = super().step(actions)
        if "final_obs" in infos:
            infos["_final_obs"] = np.array([True, False])
            if not self._with_mask:
                infos["final_obs"][1] = None
                del infos["_final_obs"]
        return observation, reward, terminated, truncated, infos


@pytest.mark.parametrize(("with_mask", "final_obs"), [(True, "full"), (True, "object"), (False, "object")])
def test_a_truncation_whose_final_observation_is_not_given_is_approximate(with_mask, final_obs):
    vector = VectorEnvs(Forgetful(with_mask, final_obs=final_obs))
    vector.reset()
    vector.step(ACTIONS)
    step = vector.step(ACTIONS)
    assert step.truncated.tolist() == [True, True]
    assert step.final_rows.tolist() == [True, False]
    assert step.approximate.tolist() == [False, True]
    assert step.final_observation["obs"][0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("form", ["list", "array", "int"])
def test_seeds_reach_a_vector_env_in_the_form_it_takes(form):
    env = CountingVectorEnv(3, seed_form=form)
    VectorEnvs(env, seed=4, first_env_id=2).reset()
    expected = list(env_seeds(4, 3, first_env_id=2))
    if form == "int":
        assert env.seeds == [expected[0]]
    else:
        assert [single.seeds for single in env.envs] == [[seed] for seed in expected]


def test_gymnasiums_own_native_vector_env_takes_one_seed():
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    first, again, other = (VectorEnvs(CartPoleVectorEnv(2), seed=seed).reset()["obs"] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_seeds_are_given_at_the_first_reset_only():
    single = [CountingEnv(i, Script(lengths=(1,))) for i in range(2)]
    team = CountingMultiAgentEnv(2)
    for vector in (SingleEnvs(single, seed=4), MultiAgentEnvs([team], seed=4)):
        vector.reset()
        vector.step(ACTIONS)
        vector.reset()
    assert [env.seeds for env in single] == [[seed, None, None] for seed in env_seeds(4, 2)]
    assert team.seeds == [env_seeds(4, 1)[0], None]


def fails_at(env, step):
    """Make an env raise at its step number `step`."""
    steps, original = iter(range(1, 100)), env.step

    def failing(action):
        if next(steps) == step:
            raise RuntimeError("the maze collapsed")
        return original(action)

    env.step = failing
    return env


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: SingleEnvs([CountingEnv(5), fails_at(CountingEnv(6), 2)], seed=4, first_env_id=5),
            f"env 6, seed {env_seeds(4, 1, 6)[0]}, last action np.int64(1)",
        ),
        (
            lambda: VectorEnvs(fails_at(CountingVectorEnv(2), 2), seed=4, first_env_id=5),
            "envs 5 to 6, seeds {}, {}, last actions array([0, 1])".format(*env_seeds(4, 2, 5)),
        ),
        (
            lambda: MultiAgentEnvs([fails_at(CountingMultiAgentEnv(2), 2)], seed=4, first_env_id=5),
            f"env 5, seed {env_seeds(4, 1, 5)[0]}, last action [np.int64(0), np.int64(1)]",
        ),
    ],
    ids=["single", "native vector", "multi-agent"],
)
def test_an_env_that_raises_is_named_with_its_seed_and_its_last_action(make, said):
    vector = make()
    vector.reset()
    vector.step({"action": np.array([1, 0])})
    with pytest.raises(RuntimeError, match="the maze collapsed") as raised:
        vector.step({"action": np.array([0, 1])})
    assert describe_error(raised.value) == (f"RuntimeError: the maze collapsed ({said})")


def test_long_actions_are_shortened_in_an_error():
    error = RuntimeError("no")
    tell_whose(error, SeedSource(1, None, 0), [0], np.arange(5000))
    assert len(describe_error(error)) < 300


def test_an_error_inside_the_reset_of_a_vector_env_is_not_hidden():
    env = CountingVectorEnv(2)

    def reset(*, seed=None, options=None):
        raise ValueError("no map file")

    env.reset = reset
    with pytest.raises(ValueError, match="no map file"):
        VectorEnvs(env, seed=1).reset()


def test_an_env_whose_reset_takes_no_seed_is_reset_without():
    class Old(CountingEnv):
        def reset(self):
            return super().reset()

    env = Old()
    SingleEnvs([env], seed=1).reset()
    assert env.seeds == [None]


def test_observations_are_copied_from_an_array_that_the_env_reuses():
    envs = [CountingEnv(i, Script(lengths=(2,), ends=("truncated",)), reuse_array=True) for i in range(2)]
    vector = SingleEnvs(envs)
    vector.reset()
    vector.step(ACTIONS)
    step = vector.step(ACTIONS)
    assert step.final_observation["obs"].tolist() == [[0, 0, 2], [1, 0, 2]]
    assert step.observation["obs"].tolist() == [[0, 1, 0], [1, 1, 0]]


class Transposed(CountingEnv):
    """Returns views that are not C-contiguous."""

    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (2, 3), np.uint8)

    def _observation(self):
        return np.arange(6, dtype=np.uint8).reshape(3, 2).T


def test_observations_of_any_memory_layout_are_taken():
    observation = SingleEnvs([Transposed(), Transposed()]).reset()["obs"]
    assert observation[1].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert observation.flags.c_contiguous


def test_single_envs_get_actions_of_their_own_kind():
    class Recorder(CountingEnv):
        def step(self, action):
            assert self.action_space.contains(action), action
            return super().step(action)

    for space in (
        spaces.Discrete(3, start=5),
        spaces.Box(-1, 1, (2,), np.float32),
        spaces.MultiDiscrete([2, 3]),
        spaces.Dict({"move": spaces.Discrete(3), "look": spaces.Box(-1, 1, (2,), np.float32)}),
        spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(3))),
    ):
        envs = [Recorder(i, action_space=space) for i in range(2)]
        vector = SingleEnvs(envs)
        vector.reset()
        from sf_core.envs.spaces import action_parts

        vector.step(
            {
                part.name: np.ones((2, *part.shape), part.dtype) * (5 if part.kind == "box" else 1)
                for part in action_parts(space)
            }
        )
        assert len(envs[1].actions) == 1


def test_a_multi_agent_env_gets_a_list_with_an_action_for_each_agent():
    envs = [CountingMultiAgentEnv(2, first_env_id=2 * i) for i in range(2)]
    vector = MultiAgentEnvs(envs)
    assert (vector.num_agents, vector.num_envs, vector.agents_per_env) == (4, 2, 2)
    vector.reset()
    step = vector.step({"action": np.array([0, 1, 1, 0])})
    assert [agent.actions for env in envs for agent in env.agents] == [[0], [1], [1], [0]]
    assert step.observation["obs"][:, 0].tolist() == [0, 1, 2, 3]


def test_an_agent_is_active_as_its_last_info_said():
    vector = MultiAgentEnvs([CountingMultiAgentEnv(2, Script(lengths=(50,)), inactive=(0, 1, 2))])
    vector.reset()
    active = [vector.step(ACTIONS).active.tolist() for _ in range(4)]
    assert active == [[False, True], [False, True], [True, True], [True, True]]


def test_an_agent_that_sits_out_repeats_its_last_action_and_may_give_no_observation():
    class Silent(CountingMultiAgentEnv):
        def step(self, actions):
            self.asked.append(list(actions))
            observations, *others = super().step(actions)
            active = [info["is_active"] for info in others[-1]]
            return [o if a else None for o, a in zip(observations, active, strict=True)], *others

    env = Silent(2, Script(lengths=(3,)), inactive=(0, 3, 5))
    env.asked = []
    vector = MultiAgentEnvs([env])
    vector.reset()
    steps = [vector.step({"action": np.array([1, t % 2])}) for t in range(2)]
    assert steps[-1].observation["obs"][0].tolist() == [0, 0, 1]  # the last one it gave
    for t in (0, 1, 0, 0, 0):
        step = vector.step({"action": np.array([t, t])})
    # sits out steps 3 to 5 with the 1 of step 2; its episode ends with its third step, the seventh of all
    assert [asked[0] for asked in env.asked] == [1, 1, 1, 1, 1, 0, 0]
    assert step.terminated[0] or step.truncated[0] or not step.episode_end[0]


def test_an_agent_that_sits_out_from_its_episodes_start_plays_zero_and_starts_when_it_acts():
    env = CountingMultiAgentEnv(2, Script(lengths=(2,)), inactive=(0, 3, 4))
    asked = []
    step_of_env = env.step
    env.step = lambda actions: (asked.append(list(actions)), step_of_env(actions))[1]
    vector = MultiAgentEnvs([env])
    vector.reset()
    steps = [vector.step({"action": np.array([1, 1])}) for _ in range(5)]
    assert [actions[0] for actions in asked] == [1, 1, 0, 0, 1]  # two steps of an episode, two rows out, the next one
    assert [bool(step.episode_start[0]) for step in steps] == [False, True, True, True, False]


def test_envs_that_want_to_know_hear_how_far_training_is_when_their_episode_ends():
    class Curriculum(CountingEnv, TrainingInfoInterface):
        def __init__(self):
            CountingEnv.__init__(self, 0, Script(lengths=(2,)))
            TrainingInfoInterface.__init__(self)

    env = Curriculum()
    vector = SingleEnvs([gym.Wrapper(env), CountingEnv(1)])
    vector.reset()
    vector.inform({"approx_total_training_steps": 7})
    vector.step(ACTIONS)
    assert env.training_info == {}
    vector.step(ACTIONS)
    assert env.training_info == {"approx_total_training_steps": 7}


def test_the_first_env_is_rendered_and_everything_is_closed_once():
    single = [CountingEnv(i) for i in range(2)]
    vector = SingleEnvs(single)
    vector.reset()
    vector.step(ACTIONS)
    assert vector.render().shape == (8, 8, 3)
    assert (vector.render_mode, vector.render_fps) == ("rgb_array", 30.0)
    vector.close()
    vector.close()
    assert all(env.closed for env in single)

    native = VectorEnvs(CountingVectorEnv(2))
    native.reset()
    assert native.render() is None  # VectorEnv.render is not implemented
    native.close()
    native.close()


def test_the_real_cartpole_runs_through_every_adapter():
    vectors = [SingleEnvs([gym.make("CartPole-v1") for _ in range(2)], seed=1)]
    for mode in (NEXT_STEP, SAME_STEP, DISABLED):
        vectors.append(VectorEnvs(SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2, autoreset_mode=mode), seed=1))
    starts = []
    for vector in vectors:
        starts.append(vector.reset()["obs"].copy())
        ends = sum(int(vector.step(ACTIONS).episode_end.sum()) for _ in range(60))  # always left: ends after ~10
        assert ends >= 8
        vector.close()
    for start in starts[1:]:
        np.testing.assert_array_equal(start, starts[0])  # the same seeds, whoever hands them out
