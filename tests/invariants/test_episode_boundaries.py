"""However an env resets, every real step gets the same advantage.

A counting env is sampled through every adapter, by the real groups, workers and inference, with a value function that
is a function of the observation and of the recurrent state. The advantages that the learner's GAE then computes are
compared with a literal oracle, which knows nothing of rows, slots and resets: it takes one episode at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.adapters.single import SingleEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.spaces import action_parts, num_action_parameters
from sf_core.learner.advantages import gae
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.rollout_worker import RolloutWorker
from sf_core.testing.fake_policy import CountingPolicy, counting_value
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv, CountingVectorEnv, Script

GAMMA, LAM = 0.9, 0.8
NUM_ENVS = 3

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


def gymnasium_vector(script, mode, **kwargs):
    env_fns = [lambda env_id=env_id: CountingEnv(env_id, script) for env_id in range(NUM_ENVS)]
    return VectorEnvs(SyncVectorEnv(env_fns, autoreset_mode=mode, **kwargs))


def native_vector(script, mode, **kwargs):
    return VectorEnvs(CountingVectorEnv(NUM_ENVS, mode, script, **kwargs))


EXACT = {
    "single envs": lambda script: SingleEnvs([CountingEnv(i, script) for i in range(NUM_ENVS)]),
    "single envs that reuse their array": lambda script: SingleEnvs(
        [CountingEnv(i, script, reuse_array=True) for i in range(NUM_ENVS)]
    ),
    "single envs with lists as observations": lambda script: SingleEnvs(
        [CountingEnv(i, script, as_list=True) for i in range(NUM_ENVS)]
    ),
    "single envs with dict observations": lambda script: SingleEnvs(
        [CountingEnv(i, script, dict_observation=True) for i in range(NUM_ENVS)]
    ),
    "gymnasium NEXT_STEP": lambda script: gymnasium_vector(script, NEXT_STEP),
    "gymnasium SAME_STEP": lambda script: gymnasium_vector(script, SAME_STEP),
    "gymnasium DISABLED": lambda script: gymnasium_vector(script, DISABLED),
    "gymnasium DISABLED without copies": lambda script: gymnasium_vector(script, DISABLED, copy=False),
    "gymnasium NEXT_STEP without copies": lambda script: gymnasium_vector(script, NEXT_STEP, copy=False),
    "native NEXT_STEP": lambda script: native_vector(script, NEXT_STEP),
    "native NEXT_STEP that reuses its arrays": lambda script: native_vector(script, NEXT_STEP, reuse_arrays=True),
    "ALE's SAME_STEP": lambda script: native_vector(script, SAME_STEP, final_obs="full"),
    "native SAME_STEP with an object array": lambda script: native_vector(script, SAME_STEP, final_obs="object"),
    "native SAME_STEP with dict observations": lambda script: native_vector(
        script, SAME_STEP, final_obs="full", dict_observation=True
    ),
    "native SAME_STEP with dict observations in an object array": lambda script: native_vector(
        script, SAME_STEP, final_obs="object", dict_observation=True
    ),
    "native DISABLED that reuses its arrays": lambda script: native_vector(script, DISABLED, reuse_arrays=True),
}
APPROXIMATE = {
    "multi-agent lists": lambda script: MultiAgentEnvs([CountingMultiAgentEnv(NUM_ENVS, script)]),
    "native SAME_STEP without final observations": lambda script: native_vector(script, SAME_STEP, final_obs="none"),
}


@dataclass(frozen=True)
class Sampled:
    """What came out of one adapter."""

    advantage: dict[tuple[int, int, int], float]  # (env, episode, steps taken before) -> advantage
    rollout_end: set[tuple[int, int, int]]  # observations at row T of a rollout
    episodes: list[tuple[int, float, int]]  # agent, return, length
    approximate_bootstraps: int
    final_value: np.ndarray
    num_valid: int


def sample(vector, rollout: int, num_rollouts: int, rnn_size: int = 1, recurrence: int | None = None) -> Sampled:
    """Fill slots as the serial engine does, and compute advantages slot by slot."""
    parts = action_parts(vector.action_space)
    num_parameters = num_action_parameters(vector.action_space)
    policy = CountingPolicy(parts, num_parameters, rnn_size)
    buffers = RolloutBuffers(
        vector.observation_space,
        parts,
        num_action_parameters=num_parameters,
        rnn_size=rnn_size,
        num_slots=vector.num_agents * num_rollouts,
        num_agents=vector.num_agents,
        rollout=rollout,
        recurrence=recurrence or rollout,
    )
    worker = RolloutWorker([EnvGroup(vector, buffers)])
    inference = InferenceWorker(policy, buffers, vector.num_agents)
    worker.reset()
    for slots in np.arange(buffers.num_slots).reshape(num_rollouts, -1):
        request = worker.begin(0, slots)
        for t in range(rollout):
            inference.answer([request])
            request = worker.advance(0, t)
        inference.answer([request])
    episodes = [(one.agent, one.reward, one.length) for one in worker.finished_episodes()]
    vector.close()

    count = buffers.observation["count" if "count" in buffers.observation else "obs"]  # [S, T+1, 3]
    advantage: dict[tuple[int, int, int], float] = {}
    for slot in range(buffers.num_slots):
        column = _advantages(policy, buffers, slot, count[slot])
        for t in np.flatnonzero(buffers.valid[slot]):
            key = tuple(int(number) for number in count[slot, t])
            assert key not in advantage, "one real step, one valid row"
            advantage[key] = column[t]
        assert not np.any(column[~buffers.valid[slot]])
    return Sampled(
        advantage=advantage,
        rollout_end={tuple(int(number) for number in count[slot, -1]) for slot in range(buffers.num_slots)},
        episodes=episodes,
        approximate_bootstraps=inference.approximate_bootstraps,
        final_value=buffers.final_value,
        num_valid=int(buffers.valid.sum()),
    )


def _advantages(policy: CountingPolicy, buffers: RolloutBuffers, slot: int, count: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        bootstrap = policy.value_batch(
            {"obs": torch.from_numpy(count[-1:])}, torch.from_numpy(buffers.rnn_state[slot, -1:])
        )
    value = np.concatenate([buffers.behaviour_value[slot], bootstrap.numpy()])

    def column(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))[:, None]

    result: np.ndarray = gae(
        column(buffers.reward[slot]),
        column(value),
        column(buffers.terminated[slot]),
        column(buffers.truncated[slot]),
        column(buffers.valid[slot]),
        column(buffers.episode_start[slot]),
        column(buffers.final_value[slot]),
        gamma=GAMMA,
        lam=LAM,
    ).numpy()[:, 0]
    return result


def oracle(script: Script, env_id: int, episode: int, *, exact: bool = True, rnn: bool = True) -> list[float]:
    """Advantages of one whole episode: the sum over later steps, written down as in the paper."""
    length = script.length(env_id, episode)
    cuts = {length: script.end(env_id, episode) == "truncated", **dict.fromkeys(script.lives_lost, False)}
    starts = [0, *(step for step in script.lives_lost if step < length)]

    def value(step: int) -> float:  # V of the observation after `step` steps; the state forgets at a lost life
        memory = step - max(start for start in starts if start <= step)
        return float(counting_value(env_id, episode, step, memory if rnn else 0.0))

    def final_value() -> float:  # the state of the final observation is not dropped before it has been looked at
        step = length if exact else length - 1
        memory = step - max(start for start in starts if start < length)
        return float(counting_value(env_id, episode, step, memory if rnn else 0.0))

    deltas, ends = [], []
    for step in range(length):
        here = step + 1
        if here not in cuts:
            following = value(here)
        elif here in script.lives_lost:
            following = 0.0
        else:
            following = final_value() if cuts[here] else 0.0
        deltas.append(script.reward(env_id, episode, here) + GAMMA * following - value(step))
        ends.append(here in cuts)
    advantages = []
    for step in range(length):
        total, weight = 0.0, 1.0
        for later in range(step, length):
            total += weight * deltas[later]
            if ends[later]:
                break
            weight *= GAMMA * LAM
        advantages.append(total)
    return advantages


def whole_episodes(script: Script, sampled: Sampled, rollout: int) -> list[tuple[int, int]]:
    """Episodes that began and ended between two ends of a rollout."""
    found = []
    for env_id, episode in sorted({key[:2] for key in sampled.advantage}):
        length = script.length(env_id, episode)
        steps = [step for step in range(length) if (env_id, episode, step) in sampled.advantage]
        cut_inside = any(
            (env_id, episode, step) in sampled.rollout_end for step in range(1, length + 1) if step < length
        )
        if steps == list(range(length)) and not cut_inside:
            found.append((env_id, episode))
    return found


def check(script: Script, sampled: Sampled, rollout: int, *, exact: bool = True, rnn: bool = True) -> set:
    episodes = whole_episodes(script, sampled, rollout)
    for env_id, episode in episodes:
        expected = oracle(script, env_id, episode, exact=exact, rnn=rnn)
        found = [sampled.advantage[env_id, episode, step] for step in range(len(expected))]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=f"env {env_id}, episode {episode}")
    return set(episodes)


SCRIPTS = {
    "both ends": Script(),
    "all truncated": Script(ends=("truncated",)),
    "both flags set": Script(ends=("both", "truncated")),
    "one-step episodes": Script(lengths=(1, 2, 1), ends=("truncated", "terminated", "both")),
    "lives lost": Script(lengths=(6, 4, 5), lives_lost=(2, 3)),
    "a life lost at the end": Script(lengths=(4, 3), ends=("truncated", "terminated"), lives_lost=(3, 4)),
}


@pytest.mark.parametrize("rollout", [16, 24])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_every_adapter_gives_every_real_step_the_advantage_of_the_oracle(build, script, rollout):
    if script.lives_lost == (3, 4):  # a truncation with the last life is a termination: the oracle has to be told
        script = Script(lengths=(4, 3), ends=("terminated",), lives_lost=(3, 4))
        sampled = sample(build(Script(lengths=(4, 3), ends=("truncated", "terminated"), lives_lost=(3, 4))), rollout, 3)
    else:
        sampled = sample(build(script), rollout, 3)
    episodes = check(script, sampled, rollout)
    ends = {script.end(*episode) for episode in episodes}
    assert ends == set(script.ends)
    assert len(episodes) >= 3 * NUM_ENVS
    assert sampled.approximate_bootstraps == 0


@pytest.mark.parametrize("build", APPROXIMATE.values(), ids=APPROXIMATE)
def test_without_a_final_observation_the_last_real_one_stands_in_and_is_counted(build):
    script = Script()
    sampled = sample(build(script), 24, 3)
    assert check(script, sampled, 24, exact=False)
    truncated = [
        (env, episode)
        for env, episode in whole_episodes(script, sampled, 24)
        if script.end(env, episode) == "truncated"
    ]
    assert truncated
    assert sampled.approximate_bootstraps >= len(truncated)
    with pytest.raises(AssertionError):
        check(script, sampled, 24, exact=True)


@pytest.mark.parametrize("build", [EXACT["single envs"], EXACT["gymnasium NEXT_STEP"]], ids=["single", "next"])
def test_a_policy_without_memory_has_rows_of_state_of_size_zero(build):
    script = Script()
    assert check(script, sample(build(script), 16, 2, rnn_size=0), 16, rnn=False)


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_the_end_may_fall_on_any_row_of_a_rollout(build):
    # Episodes of 3 steps under rollouts of 2 to 8 rows put ends on row 0, on row T - 1 and everywhere between, in
    # both kinds of reset; what lies inside one rollout must still be exact.
    script = Script(lengths=(3,), ends=("truncated", "terminated"))
    checked = set()
    for rollout in range(3, 9):
        checked |= check(script, sample(build(script), rollout, 6), rollout)
    assert {script.end(*episode) for episode in checked} == {"truncated", "terminated"}


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_a_truncation_at_the_last_row_of_a_rollout_uses_the_final_observation(build):
    # env 0, episode 0 has 4 steps and ends at row 3 = T - 1 in every mode
    script = Script(lengths=(4,), ends=("truncated",))
    sampled = sample(build(script), 4, 1)
    assert check(script, sampled, 4) == {(env_id, 0) for env_id in range(NUM_ENVS)}


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_an_episode_longer_than_a_rollout_bootstraps_from_the_row_after_the_last(build):
    # 10 steps in rollouts of 4: rows 0-3 and 4-7 bootstrap from V of step 4 and of step 8
    script = Script(lengths=(10,), ends=("truncated",))
    sampled = sample(build(script), 4, 2)
    for env_id in range(NUM_ENVS):
        for first in (0, 4):
            expected = 0.0
            for step in reversed(range(first, first + 4)):
                value, following = (float(counting_value(env_id, 0, at, at)) for at in (step, step + 1))
                delta = script.reward(env_id, 0, step + 1) + GAMMA * following - value
                expected = delta + GAMMA * LAM * expected
                assert sampled.advantage[env_id, 0, step] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("build", [*EXACT.values(), *APPROXIMATE.values()], ids=[*EXACT, *APPROXIMATE])
def test_returns_and_lengths_are_those_of_whole_episodes_whoever_resets(build):
    script = Script(lengths=(6, 4, 5), lives_lost=(2, 3))
    sampled = sample(build(script), 16, 3)
    for agent in range(NUM_ENVS):
        finished = [(reward, length) for who, reward, length in sampled.episodes if who == agent]
        assert len(finished) >= 5
        for episode, (reward, length) in enumerate(finished):
            assert length == script.length(agent, episode)
            assert reward == pytest.approx(script.episode_return(agent, episode))


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_only_resetting_in_the_next_step_costs_rows(build):
    script = Script(lengths=(3,))
    vector = build(script)
    resets_next_step = getattr(vector, "_mode", None) is NEXT_STEP
    sampled = sample(vector, 8, 1)
    # rows 0-2 play, row 3 resets, rows 4-6 play, row 7 resets: 6 of 8
    assert sampled.num_valid == NUM_ENVS * (6 if resets_next_step else 8)


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_segments_store_the_state_that_enters_them(build):
    script = Script(lengths=(6, 4, 5), lives_lost=(2,))
    one = sample(build(script), 16, 2)
    several = sample(build(script), 16, 2, recurrence=4)
    assert one.advantage == several.advantage


def test_processes_of_a_gymnasium_vector_give_the_same(monkeypatch):
    script = Script()
    env_fns = [lambda env_id=env_id: CountingEnv(env_id, script) for env_id in range(NUM_ENVS)]
    for mode in (NEXT_STEP, SAME_STEP, DISABLED):
        env = AsyncVectorEnv(env_fns, autoreset_mode=mode, context="spawn")
        assert check(script, sample(VectorEnvs(env), 16, 2), 16)


def test_the_truncation_of_a_time_limit_is_one(monkeypatch):
    # TimeLimit cuts episodes of 100 steps after 4
    script = Script(lengths=(100,), ends=("terminated",))
    as_seen = Script(lengths=(4,), ends=("truncated",))
    envs = [gym.wrappers.TimeLimit(CountingEnv(i, script), 4) for i in range(NUM_ENVS)]
    assert check(as_seen, sample(SingleEnvs(envs), 16, 2), 16)
