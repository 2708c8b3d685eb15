"""Which group gets which slots: in the order of waiting, in turns where engines alternate, back where one breaks."""

import pytest

from sf_core.rollout.slots import SlotState, SlotTable
from sf_core.runner.layout import GroupPlace
from sf_core.runner.turns import Turns

NUM_WORKERS, NUM_GROUPS, AGENTS = 2, 4, 2


def place(group):
    return GroupPlace(
        group=group,
        worker=group // 2,
        inference=0,
        first_env=group * AGENTS,
        num_envs=AGENTS,
        first_vector_index=0,
        first_agent=group * AGENTS,
        num_agents=AGENTS,
    )


@pytest.fixture
def slots():
    return SlotTable(6)  # for three of the four groups


@pytest.fixture
def turns(slots):
    return started(Turns([place(group) for group in range(NUM_GROUPS)], slots, rounds=None))


def started(turns):
    for worker in range(NUM_WORKERS):
        turns.worker_is_up(worker)
    return turns


def granted(turns):
    return {place.group: slots.tolist() for place, slots in turns.grants()}


def test_slots_go_to_those_that_have_waited_longest(turns, slots):
    assert granted(turns) == {0: [0, 1], 1: [2, 3], 2: [4, 5]}
    assert granted(turns) == {}
    turns.filled(1)
    slots.release(slots.take(AGENTS))
    assert granted(turns) == {3: [2, 3]}  # 3 has waited since the beginning, 1 only since its rollout
    assert turns.num_waiting == 1


def test_nobody_fills_slots_before_its_worker_is_up(slots):
    turns = Turns([place(group) for group in range(NUM_GROUPS)], slots, rounds=None)
    assert granted(turns) == {}
    turns.worker_is_up(1)
    assert list(granted(turns)) == [2, 3]


def test_in_turns_a_group_waits_for_the_next_dataset_though_slots_are_free():
    slots = SlotTable(NUM_GROUPS * AGENTS * 2)
    turns = started(Turns([place(group) for group in range(NUM_GROUPS)], slots, rounds=1))
    assert len(granted(turns)) == NUM_GROUPS
    assert turns.filled(0) == AGENTS
    assert granted(turns) == {}
    turns.next_dataset()
    assert list(granted(turns)) == [0]


def test_a_broken_rollout_does_not_count_as_a_turn():
    slots = SlotTable(NUM_GROUPS * AGENTS * 2)
    turns = started(Turns([place(group) for group in range(NUM_GROUPS)], slots, rounds=1))
    granted(turns)
    assert turns.broken_off(2) == AGENTS
    assert list(granted(turns)) == [2]


def test_slots_of_a_worker_that_is_gone_come_back_only_when_nobody_writes_for_it(turns, slots):
    granted(turns)
    turns.worker_is_gone(1)  # of the groups 2, which fills slots, and 3, which waits
    assert slots.count(SlotState.FREE) == 0
    assert turns.num_waiting == 0
    assert turns.reclaim(1) == AGENTS
    assert slots.count(SlotState.FREE) == AGENTS
    assert turns.reclaim(1) == 0
    turns.worker_is_up(1)
    assert list(granted(turns)) == [2]
