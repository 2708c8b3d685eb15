"""What one rollout holds: every row against a literal loop over the env, and who wrote it."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.env_utils import TrainingInfoInterface
from sf_core.envs.spaces import action_parts, num_action_parameters
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.rollout_worker import RolloutWorker
from sf_core.testing.fake_policy import CountingPolicy, counting_value
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv, Script, StuckEnv
from sf_core.utils.errors import UsageError

T = 8


def build(vectors, *, num_slots=None, rnn_size=2, recurrence=4, rollout=T, **group_options):
    """One worker over several groups, with a policy whose answers are known."""
    parts = action_parts(vectors[0].action_space)
    num_agents = sum(vector.num_agents for vector in vectors)
    buffers = RolloutBuffers(
        vectors[0].observation_space,
        parts,
        num_action_parameters=num_action_parameters(vectors[0].action_space),
        rnn_size=rnn_size,
        num_slots=num_slots or num_agents,
        num_agents=num_agents,
        rollout=rollout,
        recurrence=recurrence,
    )
    groups, first_agent = [], 0
    for vector in vectors:
        groups.append(EnvGroup(vector, buffers, first_agent=first_agent, **group_options))
        first_agent += vector.num_agents
    policy = CountingPolicy(parts, num_action_parameters(vectors[0].action_space), rnn_size)
    inference = InferenceWorker(policy, buffers, num_agents)
    worker = RolloutWorker(groups)
    worker.reset()
    return buffers, worker, inference


def collect(worker, inference, slots_of_groups):
    """One rollout of every group; requests of all groups are answered together."""
    requests = [worker.begin(group, np.asarray(slots)) for group, slots in enumerate(slots_of_groups)]
    rollout = inference._buffers.rollout
    for t in range(rollout):
        inference.answer(requests)
        requests = [worker.advance(group, t) for group in range(len(worker.groups))]
    inference.answer(requests)


def same_step_rows(script, env_id, num_rows):
    """The literal loop: one row after the other, resetting at once. (observation, start) has one row more."""
    env = CountingEnv(env_id, script)
    observation, _ = env.reset()
    rows, observations, start, state = [], [observation], [True], 0.0
    for _ in range(num_rows):
        state = 0.0 if start[-1] else state
        value = float(counting_value(*observations[-1], state))
        following, reward, terminated, truncated, info = env.step(0)
        lost = info.get("life_lost", False)
        truncated = truncated and not terminated and not lost
        final = following if truncated else None
        final_value = float(counting_value(*following, state + 1)) if truncated else None
        if terminated or truncated or env._over:
            following, _ = env.reset()
        rows.append(
            {
                "reward": reward,
                "terminated": terminated or lost,
                "truncated": truncated,
                "valid": True,
                "state": state,
                "behaviour_value": value,
                "final": final,
                "final_value": final_value,
            }
        )
        state += 1
        observations.append(following)
        start.append(terminated or truncated or lost)
    return rows, observations, start


def next_step_rows(script, env_id, num_rows):
    """The same for an env that resets in the step after an end."""
    env = CountingEnv(env_id, script)
    observation, _ = env.reset()
    rows, observations, start, state, over = [], [observation], [True], 0.0, False
    for _ in range(num_rows):
        state = 0.0 if start[-1] else state
        value = float(counting_value(*observations[-1], state))
        valid, lost = not over, False
        if over:
            following, reward, terminated, truncated = env.reset()[0], 0.0, False, False
        else:
            following, reward, terminated, truncated, info = env.step(0)
            lost = info.get("life_lost", False)
            truncated = truncated and not terminated and not lost
        over = env._over
        rows.append(
            {
                "reward": reward,
                "terminated": terminated or lost,
                "truncated": truncated,
                "valid": valid,
                "state": state,
                "behaviour_value": value,
                "final": None,
                "final_value": None,
            }
        )
        state += 1
        observations.append(following)
        start.append(not valid or (lost and not over))
    return rows, observations, start


KINDS = {
    "single": (lambda n, script: SingleEnvs([CountingEnv(i, script) for i in range(n)]), same_step_rows),
    "next step": (lambda n, script: VectorEnvs(CountingVectorEnv(n, AutoresetMode.NEXT_STEP, script)), next_step_rows),
    "same step": (lambda n, script: VectorEnvs(CountingVectorEnv(n, AutoresetMode.SAME_STEP, script)), same_step_rows),
    "disabled": (lambda n, script: VectorEnvs(CountingVectorEnv(n, AutoresetMode.DISABLED, script)), same_step_rows),
}


@pytest.mark.parametrize(
    "script", [Script(), Script(lengths=(5, 4), lives_lost=(2,), ends=("both", "truncated"))], ids=["plain", "lives"]
)
@pytest.mark.parametrize(("make", "literal"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("slots", [[0, 1, 2], [5, 1, 3]], ids=["contiguous", "scattered"])
def test_slots_hold_exactly_what_the_env_produced(make, literal, script, slots):
    buffers, worker, inference = build([make(3, script)], num_slots=6)
    expected = [literal(script, env_id, 2 * T) for env_id in range(3)]
    for rollout in range(2):  # the second continues where the first ended, in the same slots
        collect(worker, inference, [slots])
        for slot, (rows, observations, start) in zip(slots, expected, strict=True):
            first = rollout * T
            np.testing.assert_array_equal(buffers.observation["obs"][slot], observations[first : first + T + 1])
            assert buffers.episode_start[slot].tolist() == start[first : first + T + 1]
            for t, row in enumerate(rows[first : first + T]):
                assert buffers.reward[slot, t] == row["reward"]
                assert buffers.terminated[slot, t] == row["terminated"]
                assert buffers.truncated[slot, t] == row["truncated"]
                assert buffers.valid[slot, t] == row["valid"]
                assert buffers.policy_id[slot, t] == 0
                step = int(observations[first + t][2])
                assert buffers.action["action"][slot, t] == step % 2
                assert buffers.action_logits[slot, t].tolist() == [step, step + 1]
                assert buffers.behaviour_log_prob[slot, t] == pytest.approx(-0.5 - 0.01 * step)
                assert buffers.behaviour_value[slot, t] == pytest.approx(row["behaviour_value"])
                assert buffers.policy_version[slot, t] == 7
                if row["final_value"] is not None:
                    assert buffers.final_value[slot, t] == pytest.approx(row["final_value"])
                if t % 4 == 0:  # recurrence
                    assert buffers.rnn_state[slot, t // 4].tolist() == [row["state"]] * 2
            # what enters row T: zero if an episode starts there, else one step more than entered row T - 1
            entering = 0.0 if start[first + T] else rows[first + T - 1]["state"] + 1
            assert buffers.rnn_state[slot, -1].tolist() == [entering] * 2


def test_final_observations_are_kept_beside_the_slots_at_the_agents_row():
    script = Script(lengths=(2, 50), ends=("truncated",))
    # agents 0 and 1 never end here; agent 3 (env 1 of the second group, 2 steps) truncates at row 1
    first = SingleEnvs([CountingEnv(i, Script(lengths=(50,))) for i in (7, 8)])
    second = SingleEnvs([CountingEnv(1, script), CountingEnv(2, script)])
    buffers, worker, inference = build([first, second])
    collect(worker, inference, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(buffers.final_observation["obs"], [[0, 0, 0], [0, 0, 0], [0, 0, 0], [2.0, 0.0, 2.0]])


def test_rewards_are_scaled_then_clipped_and_returns_are_neither():
    script = Script(lengths=(4,), reward_step=1.0)  # rewards 2, 3, 4, 5 in even episodes
    buffers, worker, inference = build([SingleEnvs([CountingEnv(0, script)])], reward_scale=-0.5, reward_clip=1.75)
    collect(worker, inference, [[0]])
    assert buffers.reward[0, :4].tolist() == [-1.0, -1.5, -1.75, -1.75]
    assert worker.finished_episodes()[0].reward == 14.0
    assert worker.finished_episodes() == []  # each is reported once


def test_each_field_is_written_by_its_writer_only_and_by_it_entirely():
    script = Script(lengths=(3,), ends=("truncated",))
    vector = SingleEnvs([CountingEnv(i, script, dict_observation=True) for i in range(2)])
    buffers, worker, inference = build([vector])
    owners = {"rollout worker": set(), "inference": set()}
    for array in buffers.arrays().values():  # a pattern that nobody writes
        array.view(np.uint8)[...] = 0xA5

    def changed_by(act):
        before = {path: array.copy() for path, array in buffers.arrays().items()}
        result = act()
        changed = {path for path, array in buffers.arrays().items() if array.tobytes() != before[path].tobytes()}
        return result, changed

    request, changed = changed_by(lambda: worker.begin(0, np.arange(2)))
    owners["rollout worker"] |= changed
    for t in range(T):
        _, changed = changed_by(lambda: inference.answer([request]))  # noqa: B023
        owners["inference"] |= changed
        request, changed = changed_by(lambda: worker.advance(0, t))  # noqa: B023
        owners["rollout worker"] |= changed
    _, changed = changed_by(lambda: inference.answer([request]))
    owners["inference"] |= changed

    for field in buffers.fields:
        others = set(owners) - {field.writer}
        assert field.path in owners[field.writer]
        assert all(field.path not in owners[other] for other in others), field.path
        rows = buffers.arrays()[field.path]
        if field.name == "final_value":
            rows = rows[buffers.truncated]  # nowhere else is it asked for
        pattern = np.full(rows.shape, 0xA5A5A5A5A5A5A5A5, np.uint64).view(np.uint8)
        pattern = pattern.reshape(*rows.shape, 8)[..., : rows.dtype.itemsize]
        found = np.ascontiguousarray(rows).view(np.uint8).reshape(*rows.shape, rows.dtype.itemsize)
        assert not (found == pattern).all(-1).any(), f"a row of {field.path} was never written"


def test_groups_at_different_rows_are_answered_together():
    script = Script()

    def vectors():
        return [SingleEnvs([CountingEnv(2 * group + i, script) for i in range(2)]) for group in range(2)]

    together, worker, inference = build(vectors())
    collect(worker, inference, [[0, 1], [2, 3]])

    apart, worker, inference = build(vectors())
    first, second = worker.begin(0, np.array([0, 1])), None
    for t in range(T):  # group 1 is always one row behind
        inference.answer([first] if second is None else [first, second])
        first = worker.advance(0, t)
        second = worker.begin(1, np.array([2, 3])) if t == 0 else worker.advance(1, t - 1)
    inference.answer([first, second])
    second = worker.advance(1, T - 1)
    inference.answer([second])

    for path, array in together.arrays().items():
        np.testing.assert_array_equal(array, apart.arrays()[path], err_msg=path)


def test_an_agent_that_sits_out_is_marked_and_not_valid():
    script = Script(lengths=(100,))
    vector = MultiAgentEnvs([CountingMultiAgentEnv(2, script, inactive=(1, 3, 4))])  # agent 1, steps 3 and 4
    buffers, worker, inference = build([vector], policy_id=2)
    collect(worker, inference, [[0, 1]])
    assert buffers.policy_id[0].tolist() == [2] * T
    assert buffers.policy_id[1].tolist() == [2, 2, -1, -1, 2, 2, 2, 2]
    assert buffers.valid[0].all()
    assert buffers.valid[1].tolist() == [True, True, False, False, True, True, True, True]


class Forgetful(CountingPolicy):
    """Whose state is not a number from the third step of an episode on."""

    def act_batch(self, observation, rnn_state, deterministic=False, generator=None):
        output = super().act_batch(observation, rnn_state, deterministic, generator)
        output.rnn_state[observation["obs"][:, 2] >= 2] = float("nan")
        return output


def test_a_state_that_is_not_finite_ends_with_its_episode():
    buffers, worker, inference = build([SingleEnvs([CountingEnv(0, Script(lengths=(4,)))])], recurrence=1)
    parts = action_parts(worker.groups[0].vector.action_space)
    inference._policy = Forgetful(parts, 2, 2)
    collect(worker, inference, [[0]])
    assert np.isnan(buffers.rnn_state[0, 3]).all()
    assert buffers.rnn_state[0, :, 0][[0, 1, 2, 4, 5, 6]].tolist() == [0, 1, 2] * 2


def test_an_agent_that_sits_out_remembers_what_it_did():
    vector = MultiAgentEnvs([CountingMultiAgentEnv(2, Script(lengths=(100,)), inactive=(1, 3, 9))])
    buffers, worker, inference = build([vector], recurrence=1)  # T = 8: it acts again in the second rollout
    collect(worker, inference, [[0, 1]])
    assert buffers.rnn_state[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]  # the fake policy counts its steps
    assert buffers.rnn_state[1, :, 0].tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2]
    collect(worker, inference, [[0, 1]])
    assert buffers.rnn_state[1, :, 0].tolist() == [2, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_reward_that_comes_while_an_agent_sits_out_belongs_to_its_last_action():
    env = CountingMultiAgentEnv(2, Script(lengths=(100,)), inactive=(1, 3, 4))  # agent 1, steps 3 and 4
    step_of_env, late = env.step, iter([0, 0, 5.0, 7.0, 0, 0, 0, 0])

    def step(actions):
        observations, rewards, *others = step_of_env(actions)
        return observations, [rewards[0], rewards[1] + next(late)], *others

    env.step = step
    buffers, worker, inference = build([MultiAgentEnvs([env])])
    collect(worker, inference, [[0, 1]])
    plain, worker, inference = build(
        [MultiAgentEnvs([CountingMultiAgentEnv(2, Script(lengths=(100,)), inactive=(1, 3, 4))])]
    )
    collect(worker, inference, [[0, 1]])
    gained = np.where(buffers.valid, buffers.reward - plain.reward, 0)
    assert gained.tolist() == [[0] * T, [0, 12, 0, 0, 0, 0, 0, 0]]
    assert worker.late_rewards == 0


class LateRewards:
    """Agent 1 sits out from the last row of the first rollout on, and is paid for what it did in the rollout before."""

    def __init__(self, *rewards):
        self.env = CountingMultiAgentEnv(2, Script(lengths=(100,), reward_step=0.0), inactive=(1, T, 2 * T - 1))
        self.rewards = iter(rewards)

    def __getattr__(self, name):
        return getattr(self.env, name)

    def step(self, actions):
        observations, (first, _), *others = self.env.step(actions)
        return observations, [first, next(self.rewards)], *others


def test_a_reward_that_comes_a_rollout_too_late_is_counted_and_blamed_on_nobody():
    rewards = [1.0] * (T - 1) + [4.0] + [8.0, 0.0, 16.0] + [0.0] * (T - 4) + [32.0]
    buffers, worker, inference = build([MultiAgentEnvs([LateRewards(*rewards)])], num_slots=4)
    collect(worker, inference, [[0, 1]])
    assert buffers.reward[1].tolist() == [1.0] * (T - 2) + [5.0, 4.0]  # row T - 1 is not valid: row T - 2 has it
    assert worker.late_rewards == 0
    collect(worker, inference, [[2, 3]])
    assert worker.late_rewards == 2
    assert buffers.reward[1].tolist() == [1.0] * (T - 2) + [5.0, 4.0]  # the learner has it
    assert buffers.reward[3, buffers.valid[3]].tolist() == [32.0]


class Curriculum(CountingEnv, TrainingInfoInterface):
    """Wants to know how far training is."""

    def __init__(self):
        CountingEnv.__init__(self, 0, Script(lengths=(3,)))
        TrainingInfoInterface.__init__(self)


def test_an_env_that_wants_to_know_hears_with_the_end_of_its_episode_how_far_training_is():
    env = Curriculum()
    _, worker, inference = build([SingleEnvs([env])], policy_id=2)
    request = worker.begin(0, np.array([0]), env_steps=700)
    for t in range(T):
        assert env.training_info == ({} if t < 3 else {"policy_id": 2, "approx_total_training_steps": 700})
        inference.answer([request])
        request = worker.advance(0, t)


def test_a_mask_that_leaves_no_choice_is_an_error_that_names_the_env():
    _, worker, inference = build([SingleEnvs([StuckEnv()], name="maze")])
    with pytest.raises(UsageError, match="env 'maze' returned the observation 'action_mask' with no legal choice"):
        collect(worker, inference, [[0]])


def test_approximate_bootstraps_repeat_the_last_value_and_are_counted():
    script = Script(lengths=(2, 3), ends=("truncated",))
    buffers, worker, inference = build([MultiAgentEnvs([CountingMultiAgentEnv(2, script)])])
    collect(worker, inference, [[0, 1]])
    cut = buffers.truncated
    assert cut.sum() == 3 + 3  # lengths 2, 3, 2 and 3, 2, 3 fit into 8 rows (2+3+2 = 7, 3+2+3 = 8)
    np.testing.assert_array_equal(buffers.final_value[cut], buffers.behaviour_value[cut])
    assert inference.approximate_bootstraps == 6


class ActionSpoiler(CountingEnv):
    """Changes the array it is given, as careless envs do."""

    def step(self, action):
        self.actions.append(action.copy())
        result = super().step(action)
        action[...] = 99.0
        return result


def test_actions_are_clipped_for_the_env_and_stored_as_they_were():
    box = spaces.Box(-1.0, 2.0, (2,), np.float32)
    env = ActionSpoiler(0, Script(lengths=(100,)), action_space=box)
    buffers, worker, inference = build([SingleEnvs([env])])
    collect(worker, inference, [[0]])
    assert buffers.action["action"][0, :, 0].tolist() == list(range(T))  # the fake policy acts by the step number
    assert [action.tolist() for action in env.actions[::2]] == [[min(t, 2.0)] * 2 for t in range(T)]


class VectorActionSpoiler(CountingVectorEnv):
    """The same, as a native vector env."""

    def step(self, actions):
        result = super().step(actions.copy())
        actions[...] = 99
        return result


def test_an_array_of_choices_that_the_env_overwrites_is_not_the_buffers():
    vector = VectorEnvs(VectorActionSpoiler(2, AutoresetMode.NEXT_STEP, Script(lengths=(100,))))
    buffers, worker, inference = build([vector])
    collect(worker, inference, [[0, 1]])
    assert buffers.action["action"].tolist() == [[0, 1] * (T // 2)] * 2


def test_a_reset_in_between_starts_new_episodes_everywhere():
    buffers, worker, inference = build([SingleEnvs([CountingEnv(0, Script(lengths=(100,)))])])
    collect(worker, inference, [[0]])
    worker.reset()
    collect(worker, inference, [[0]])
    assert buffers.episode_start[0].tolist() == [True] + [False] * T
    assert buffers.observation["obs"][0, 0].tolist() == [0, 1, 0]
    assert buffers.rnn_state[0, 0].tolist() == [0, 0]
