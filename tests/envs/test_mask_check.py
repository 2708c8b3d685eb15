import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.mask_check import MaskCheck
from sf_core.utils.errors import UsageError

SPACE = spaces.Tuple([spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2,)), spaces.Discrete(2)])
ALL = np.ones(2, bool)


def one_array(first, second=(1,) * 7):
    return {"action_mask": np.array([first, second], np.int8)}


def test_each_categorical_needs_a_choice_in_every_row_that_acts():
    masks = MaskCheck("maze", {"obs": spaces.Discrete(2), "action_mask": spaces.MultiBinary(7)}, SPACE)
    assert masks.leaves == ("action_mask",)
    masks.check(one_array((0, 1, 1, 0, 0, 1, 0)), ALL)  # [2 | 3 | 2] choices, one of each
    stuck = one_array((1,) * 7, (1, 1, 0, 0, 0, 1, 1))  # nothing of the three
    with pytest.raises(UsageError, match=r"env 'maze' .* 'action_mask' with no legal choice for row 1"):
        masks.check(stuck, ALL)
    masks.check(stuck, np.array([True, False]))


def test_masks_may_come_part_by_part():
    leaves = {"obs": spaces.Discrete(2), "action_mask/2": spaces.MultiBinary(2)}
    masks = MaskCheck("maze", leaves, SPACE)
    masks.check({"action_mask/2": np.array([[1, 0], [0, 1]])}, ALL)
    with pytest.raises(UsageError, match="action_mask/2"):
        masks.check({"action_mask/2": np.array([[1, 0], [0, 0]])}, ALL)


def test_without_a_mask_there_is_nothing_to_look_at():
    assert MaskCheck("maze", {"obs": spaces.Discrete(2)}, SPACE).leaves == ()


def test_the_first_legal_choices_are_found_in_every_part():
    masks = MaskCheck("maze", {"action_mask": spaces.MultiBinary(7)}, SPACE)
    actions = masks.first_legal(one_array((0, 1, 0, 0, 1, 0, 1)), 2)
    assert actions["0"].tolist() == [[1, 2], [0, 0]]
    assert actions["1"].tolist() == [[0.0, 0.0]] * 2
    assert actions["2"].tolist() == [1, 0]
    masks = MaskCheck("maze", {"action_mask/2": spaces.MultiBinary(2)}, SPACE)
    actions = masks.first_legal({"action_mask/2": np.array([[0, 1], [1, 0]])}, 2)
    assert (actions["0"].tolist(), actions["2"].tolist()) == ([[0, 0]] * 2, [1, 0])
