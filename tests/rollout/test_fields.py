import numpy as np
import pytest
from gymnasium import spaces

from sf_core.envs.spaces import action_parts, num_action_parameters, observation_spaces
from sf_core.rollout.fields import fields_of

OBSERVATION = spaces.Dict({"image": spaces.Box(0, 255, (3, 8, 8), np.uint8), "speed": spaces.Box(-1, 1, (2,))})
ACTION = spaces.Tuple((spaces.Discrete(3), spaces.Box(-1, 1, (2,))))


def table(rnn_size=5, rollout=8, recurrence=4):
    fields = fields_of(
        observation_spaces(OBSERVATION),
        action_parts(ACTION),
        num_action_parameters(ACTION),
        rnn_size,
        rollout,
        recurrence,
    )
    return {field.path: field for field in fields}


def test_the_table_has_the_rows_shapes_and_dtypes_of_the_design():
    found = {path: (field.rows, field.shape, field.dtype.name) for path, field in table().items()}
    assert found == {
        "observation/image": (9, (3, 8, 8), "uint8"),  # T + 1 rows; uint8 stays uint8
        "observation/speed": (9, (2,), "float32"),
        "episode_start": (9, (), "bool"),
        "rnn_state": (3, (5,), "float32"),  # entering steps 0, 4 and 8 = T
        "action/0": (8, (), "int64"),
        "action/1": (8, (2,), "float32"),
        "action_logits": (8, (7,), "float32"),  # 3 choices, 2 means, 2 log-stddevs
        "behaviour_log_prob": (8, (), "float32"),
        "behaviour_value": (8, (), "float32"),
        "policy_version": (8, (), "int64"),
        "policy_id": (8, (), "int32"),
        "reward": (8, (), "float32"),
        "terminated": (8, (), "bool"),
        "truncated": (8, (), "bool"),
        "valid": (8, (), "bool"),
        "final_value": (8, (), "float32"),
        "final_observation/image": (1, (3, 8, 8), "uint8"),
        "final_observation/speed": (1, (2,), "float32"),
    }


def test_every_field_has_one_writer():
    writers = {field.name: field.writer for field in table().values()}
    for_inference = {name for name, writer in writers.items() if writer == "inference"}
    assert for_inference == {
        "rnn_state",
        "action",
        "action_logits",
        "behaviour_log_prob",
        "behaviour_value",
        "policy_version",
        "final_value",
    }
    assert set(writers.values()) == {"inference", "rollout worker"}


def test_only_final_observations_lie_beside_the_slots():
    assert {field.name for field in table().values() if field.per_agent} == {"final_observation"}


@pytest.mark.parametrize(("rollout", "recurrence"), [(8, 3), (0, 1), (8, 0), (4, 8)])
def test_a_rollout_that_segments_do_not_divide_is_refused(rollout, recurrence):
    with pytest.raises(ValueError, match="not a positive multiple"):
        table(rollout=rollout, recurrence=recurrence)
