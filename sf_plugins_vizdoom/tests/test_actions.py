from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from sf_plugins_vizdoom.actions import Controls, heads_for
from sf_plugins_vizdoom.tasks import SAMPLE_FACTORY_TASKS, TASKS, Press, Turn

# name -> sizes of the heads in Sample Factory; 0 is a real number
SIZES = {
    "doom_basic": 4,
    "doom_two_colors_easy": (3, 3),
    "doom_two_colors_hard": (3, 3),
    "doom_dm": (3, 3, 3, 2, 2, 0),
    "doom_dwango5": (3, 3, 3, 2, 2, 0),
    "doom_my_way_home_flat_actions": 5,
    "doom_defend_the_center_flat_actions": 4,
    "doom_my_way_home": (3, 3),
    "doom_deadly_corridor": (3, 3, 3, 2),
    "doom_defend_the_center": (3, 2),
    "doom_defend_the_line": (3, 2),
    "doom_health_gathering": 5,
    "doom_health_gathering_supreme": 5,
    "doom_battle": (3, 3, 2, 2, 11),
    "doom_battle2": (3, 3, 2, 2, 11),
    "doom_duel_bots": (3, 3, 8, 2, 2, 2, 21),
    "doom_deathmatch_bots": (3, 3, 8, 2, 2, 21),
    "doom_duel": (3, 3, 8, 2, 2, 2, 21),
    "doom_deathmatch_full": (3, 3, 8, 2, 2, 2, 21),
    "doom_benchmark": 9,
}


def test_the_action_spaces_are_those_of_sample_factory():
    assert list(SAMPLE_FACTORY_TASKS) == list(SIZES)
    for name, sizes in SIZES.items():
        space = Controls(TASKS[name].heads).space
        if isinstance(sizes, int):
            assert space == spaces.Discrete(sizes), name
        else:
            found = tuple(int(part.n) if isinstance(part, spaces.Discrete) else 0 for part in space)
            assert found == sizes, name


def test_the_heads_fit_the_buttons_in_every_task():
    for name, task in TASKS.items():
        controls = Controls(task.heads)
        controls.space.seed(0)
        assert len(controls.values(controls.space.sample())) == len(controls.buttons), name
        assert len(set(controls.buttons)) == len(controls.buttons), name


def test_a_choice_holds_its_button_and_turns_by_its_angle():
    controls = Controls((Press(("MOVE_FORWARD", "MOVE_BACKWARD")), Turn("TURN_LEFT_RIGHT_DELTA", 10.0, 11)))
    assert controls.values((np.int64(0), np.int64(0))) == [0.0, 0.0, -10.0]
    assert controls.values((np.int64(2), np.int64(5))) == [0.0, 1.0, 0.0]
    assert controls.values((np.int64(1), np.int64(10))) == [1.0, 0.0, 10.0]


def test_a_real_number_turns_by_its_share_of_the_limit():
    controls = Controls((Press(("ATTACK",)), Turn("TURN_LEFT_RIGHT_DELTA", 7.5)))
    assert controls.values((np.int64(1), np.array([-0.5], np.float32))) == [1.0, -3.75]


def test_buttons_of_any_scenario_are_grouped_by_what_excludes_one_another():
    buttons = ["ATTACK", "TURN_RIGHT", "MOVE_LEFT", "TURN_LEFT", "TURN_LEFT_RIGHT_DELTA"]
    assert heads_for(buttons, "tuple") == (
        Press(("ATTACK",)),
        Press(("TURN_RIGHT", "TURN_LEFT")),
        Press(("MOVE_LEFT",)),
        Turn("TURN_LEFT_RIGHT_DELTA", 10.0, 11),
    )
    assert heads_for(buttons[:2], "flat") == (Press(("ATTACK", "TURN_RIGHT")),)
    with pytest.raises(Exception, match="no available_buttons"):
        heads_for([], "tuple")
