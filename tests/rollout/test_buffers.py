import numpy as np
from gymnasium import spaces

from sf_core.envs.spaces import action_parts, observation_spaces
from sf_core.rollout.buffers import RolloutBuffers

OBSERVATION = observation_spaces(spaces.Dict({"image": spaces.Box(0, 255, (2, 2), np.uint8), "n": spaces.Discrete(4)}))


def make(**kwargs):
    return RolloutBuffers(
        OBSERVATION,
        action_parts(spaces.Discrete(3)),
        num_action_parameters=3,
        rnn_size=2,
        num_slots=5,
        num_agents=4,
        rollout=6,
        recurrence=3,
        **kwargs,
    )


def test_arrays_have_a_row_for_each_slot_or_agent():
    buffers = make()
    assert buffers.observation["image"].shape == (5, 7, 2, 2)
    assert buffers.observation["image"].dtype == np.uint8
    assert buffers.observation["n"].shape == (5, 7)
    assert buffers.action["action"].shape == (5, 6)
    assert buffers.rnn_state.shape == (5, 3, 2)
    assert buffers.reward.shape == (5, 6)
    assert buffers.final_observation["image"].shape == (4, 2, 2)
    assert (buffers.rollout, buffers.recurrence, buffers.num_slots, buffers.num_agents) == (6, 3, 5, 4)


def test_memory_comes_from_whoever_is_asked_for_it_field_by_field():
    store = {}

    def allocate(path, shape, dtype):
        return store.setdefault(path, np.zeros(shape, dtype))

    first, second = make(allocate=allocate), make(allocate=allocate)  # as two processes over the same memory
    first.reward[2, 3] = 1.5
    first.observation["image"][0, 0] = 9
    assert second.reward[2, 3] == 1.5
    assert (second.observation["image"][0, 0] == 9).all()
    assert set(store) == {field.path for field in first.fields} == set(first.arrays())


def test_the_size_is_that_of_all_fields():
    # per slot: observation 7 * (4 + 8), episode_start 7, rnn_state 3 * 2 * 4, action 6 * 8, logits 6 * 12,
    # log_prob, value, reward, final_value 6 * 4 each, version 6 * 8, policy_id 6 * 4, three flags 6 each
    per_slot = 84 + 7 + 24 + 48 + 72 + 4 * 24 + 48 + 24 + 18
    assert make().nbytes == 5 * per_slot + 4 * (4 + 8)
