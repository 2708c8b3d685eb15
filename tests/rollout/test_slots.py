import numpy as np
import pytest

from sf_core.rollout.slots import SlotError, SlotState, SlotTable, as_index

FREE, FILLING, READY, TAKEN = SlotState.FREE, SlotState.FILLING, SlotState.READY, SlotState.TAKEN


def counts(table):
    return {state.name: table.count(state) for state in SlotState}


def test_a_slot_goes_round_in_order():
    table = SlotTable(4)
    slots = table.claim(2)
    assert counts(table) == {"FREE": 2, "FILLING": 2, "READY": 0, "TAKEN": 0}
    table.submit(slots)
    assert counts(table) == {"FREE": 2, "FILLING": 0, "READY": 2, "TAKEN": 0}
    taken = table.take(2)
    assert counts(table) == {"FREE": 2, "FILLING": 0, "READY": 0, "TAKEN": 2}
    table.release(taken)
    assert counts(table) == {"FREE": 4, "FILLING": 0, "READY": 0, "TAKEN": 0}


def test_the_lowest_free_slots_are_claimed_first():
    table = SlotTable(6)
    first = table.claim(2)
    assert first.tolist() == [0, 1]
    assert table.claim(2).tolist() == [2, 3]
    table.submit(first)
    table.release(table.take(2))
    assert table.claim(3).tolist() == [0, 1, 4]


def test_what_was_submitted_first_is_taken_first():
    table = SlotTable(4)
    first, second = table.claim(2), table.claim(2)
    table.submit(second)
    table.submit(first)
    assert table.take(3).tolist() == [2, 3, 0]
    assert table.take(1).tolist() == [1]


def test_slots_whose_filling_broke_off_are_free_again_and_never_taken():
    table = SlotTable(3)
    broken, whole = table.claim(1), table.claim(1)
    table.discard(broken)
    table.submit(whole)
    assert table.take(1).tolist() == whole.tolist()
    assert table.state_of(int(broken[0])) is FREE
    assert table.claim(2).tolist() == [0, 2]


def test_more_than_there_are_cannot_be_claimed_or_taken():
    table = SlotTable(2)
    with pytest.raises(SlotError, match="3 slots asked for, 2 are FREE"):
        table.claim(3)
    assert table.count(FREE) == 2
    table.submit(table.claim(2))
    with pytest.raises(SlotError, match="3 slots asked for, 2 are READY"):
        table.take(3)
    assert table.count(READY) == 2


def advance(table, slots, state):
    """Bring claimed slots on to a state."""
    if state in (READY, TAKEN):
        table.submit(slots)
    if state is TAKEN:
        table.take(len(slots))


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (FREE, "submit"),
        (READY, "submit"),
        (TAKEN, "submit"),
        (FREE, "release"),
        (FILLING, "release"),
        (READY, "release"),
        (FREE, "discard"),
        (READY, "discard"),
        (TAKEN, "discard"),
    ],
)
def test_a_step_that_the_state_does_not_allow_raises_and_changes_nothing(state, step):
    table = SlotTable(2)
    slots = np.arange(2)
    if state is not FREE:
        advance(table, table.claim(2), state)
    with pytest.raises(SlotError, match=f"slot 0 is {state.name}"):
        getattr(table, step)(slots)
    assert table.count(state) == 2


def test_one_wrong_slot_among_right_ones_leaves_all_where_they_were():
    table = SlotTable(3)
    slots = table.claim(2)
    with pytest.raises(SlotError, match="slot 2 is FREE; only a FILLING slot can become READY"):
        table.submit(np.array([0, 1, 2]))
    assert table.count(FILLING) == 2
    with pytest.raises(SlotError, match="named twice"):
        table.submit(np.array([0, 0]))
    table.submit(slots)


@pytest.mark.parametrize(
    ("slots", "contiguous"),
    [([3], True), ([2, 3, 4], True), ([2, 4], False), ([4, 3, 2], False), ([2, 4, 3, 5], False), ([], False)],
)
def test_contiguous_slots_become_a_slice_and_others_stay_as_they_are(slots, contiguous):
    index = as_index(np.asarray(slots, np.int64))
    assert isinstance(index, slice) == contiguous
    assert np.arange(10)[index].tolist() == slots
