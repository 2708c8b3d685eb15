import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from sf_core.envs.spaces import (
    action_parts,
    action_rows,
    decode_action,
    flatten_observation,
    is_action_mask,
    num_action_parameters,
    observation_spaces,
    space_from_json,
    space_to_json,
)
from sf_core.utils.errors import UsageError

NESTED = spaces.Dict(
    {
        "camera": spaces.Dict({"left": spaces.Box(0, 255, (3, 4, 4), np.uint8), "depth": spaces.Box(0, 1, (4, 4))}),
        "pair": spaces.Tuple([spaces.Discrete(5), spaces.MultiBinary(3)]),
        "action_mask": spaces.MultiBinary(7),
    }
)


def leaf_spaces() -> st.SearchStrategy[spaces.Space]:
    sizes = st.integers(1, 4)
    return st.one_of(
        st.builds(lambda n, start: spaces.Discrete(n, start=start), sizes, st.integers(-3, 3)),
        st.builds(
            lambda nvec, start: spaces.MultiDiscrete(nvec, start=[start] * len(nvec)),
            st.lists(sizes, min_size=1, max_size=3),
            st.integers(-2, 2),
        ),
        st.just(spaces.MultiDiscrete([[2, 3, 4], [3, 2, 2]])),
        st.builds(spaces.MultiBinary, st.one_of(sizes, st.just([2, 3]))),
        st.builds(
            lambda shape, low, span: spaces.Box(low, low + span, shape, np.float32),
            st.lists(sizes, max_size=2).map(tuple),
            st.floats(-3, 3, width=32),
            st.floats(1, 4, width=32),
        ),
        st.just(spaces.Box(-np.inf, np.inf, (2,), np.float64)),
        st.just(spaces.Box(np.array([-np.inf, 0.5]), np.array([0.25, np.inf]), dtype=np.float64)),
        st.just(spaces.Box(-4, 7, (3,), np.int32)),
    )


def any_space() -> st.SearchStrategy[spaces.Space]:
    return st.recursive(
        leaf_spaces(),
        lambda children: st.one_of(
            st.lists(children, min_size=1, max_size=3).map(spaces.Tuple),
            st.dictionaries(st.sampled_from(["a", "b", "obs", "move.x"]), children, min_size=1, max_size=3).map(
                spaces.Dict
            ),
        ),
        max_leaves=5,
    )


def test_a_space_that_is_not_nested_has_one_leaf_called_obs():
    assert observation_spaces(spaces.Discrete(4)) == {"obs": spaces.Discrete(4)}


def test_nested_keys_are_joined_by_slashes_in_the_order_of_the_space():
    # Gymnasium sorts the keys of a plain dict: action_mask, camera (depth, left), pair
    assert list(observation_spaces(NESTED)) == ["action_mask", "camera/depth", "camera/left", "pair/0", "pair/1"]


@pytest.mark.parametrize(
    "space",
    [spaces.Text(5), spaces.Graph(spaces.Box(0, 1, (2,)), None), spaces.Sequence(spaces.Discrete(3))],
    ids=lambda space: type(space).__name__,
)
def test_spaces_without_a_fixed_size_are_refused_by_name(space):
    for nested in (space, spaces.Dict({"x": spaces.Discrete(2), "odd": space})):
        with pytest.raises(UsageError, match=type(space).__name__):
            observation_spaces(nested)
        with pytest.raises(UsageError, match=type(space).__name__):
            action_parts(nested)


def test_two_leaves_with_one_name_are_refused():
    space = spaces.Dict({"a/b": spaces.Discrete(2), "a": spaces.Dict({"b": spaces.Discrete(2)})})
    with pytest.raises(UsageError, match="'a/b'"):
        observation_spaces(space)
    with pytest.raises(UsageError, match="'a/b'"):
        action_parts(space)


def test_empty_spaces_are_refused():
    with pytest.raises(UsageError, match="empty"):
        observation_spaces(spaces.Dict({}))
    with pytest.raises(UsageError, match="empty"):
        action_parts(spaces.Tuple([]))


def test_flatten_keeps_dtypes_and_does_not_copy_arrays_that_already_fit():
    observation = NESTED.sample()
    flat = flatten_observation(NESTED, observation)
    assert flat["camera/left"] is observation["camera"]["left"]
    assert {name: array.dtype.name for name, array in flat.items()} == {
        "action_mask": "int8",
        "camera/depth": "float32",
        "camera/left": "uint8",
        "pair/0": "int64",
        "pair/1": "int8",
    }
    assert flat["pair/0"].shape == ()


def test_flatten_says_which_part_has_the_wrong_shape():
    observation = NESTED.sample()
    observation["camera"]["depth"] = np.zeros((4, 5), np.float32)
    with pytest.raises(UsageError, match=r"'camera/depth' has shape \(4, 5\).*\(4, 4\)"):
        flatten_observation(NESTED, observation)
    with pytest.raises(UsageError, match="'obs' has shape"):
        flatten_observation(spaces.Box(0, 1, (3,)), np.zeros((2, 3)))


def test_flatten_says_which_part_is_missing():
    observation = NESTED.sample()
    del observation["camera"]["left"]
    with pytest.raises(UsageError, match=r"'camera'.*left"):
        flatten_observation(NESTED, observation)


class _NestedEnv(gymnasium.Env):
    observation_space = NESTED
    action_space = spaces.Dict({"move": spaces.Discrete(3, start=1), "look": spaces.Box(-1, 1, (2,))})

    def __init__(self):
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(action)
        return self.observation_space.sample(), 0.0, False, False, {}


def test_batched_forms_are_those_of_gymnasium_vector():
    env = gymnasium.vector.SyncVectorEnv([_NestedEnv, _NestedEnv])
    observation, _ = env.reset(seed=1)
    flat = flatten_observation(env.single_observation_space, observation, batched=True)
    for name, leaf in observation_spaces(env.single_observation_space).items():
        assert flat[name].shape == (2, *leaf.shape)
    np.testing.assert_array_equal(flat["pair/0"], observation["pair"][0])

    stored = {"move": np.array([0, 2]), "look": np.array([[-3.0, 0.5], [0.25, 9.0]], np.float32)}
    env.step(decode_action(env.single_action_space, stored, batched=True))
    first, second = (single.taken[0] for single in env.envs)
    assert (first["move"], second["move"]) == (1, 3)  # start=1 added
    np.testing.assert_array_equal(first["look"], np.array([-1, 0.5], np.float32))  # clipped to the bounds
    np.testing.assert_array_equal(second["look"], np.array([0.25, 1], np.float32))
    env.close()


def test_action_parts_of_every_kind_of_leaf():
    space = spaces.Tuple(
        [
            spaces.Discrete(4, start=-1),
            spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[1, 0], [0, 2]]),
            spaces.MultiBinary([2, 2]),
            spaces.Box(-2, 2, (3,)),
            spaces.Dict({"turn": spaces.Box(0, 1, (), np.float64)}),
        ]
    )
    parts = action_parts(space)
    assert [part.name for part in parts] == ["0", "1", "2", "3", "4/turn"]
    assert [part.kind for part in parts] == ["discrete"] * 3 + ["box"] * 2
    assert [part.sizes for part in parts] == [(4,), (2, 3, 4, 5), (2, 2, 2, 2), (), ()]
    assert [part.shape for part in parts] == [(), (2, 2), (2, 2), (3,), ()]
    # 4 + (2+3+4+5) + 4*2 + 2*3 + 2*1
    assert num_action_parameters(space) == 4 + 14 + 8 + 6 + 2
    assert [part.dtype.name for part in parts] == ["int64"] * 3 + ["float32"] * 2


def test_integer_boxes_are_rounded_and_clipped():
    space = spaces.Box(-4, 7, (4,), np.int32)
    action = decode_action(space, {"action": np.array([-9.0, -0.6, 2.4, 99.0], np.float32)}, batched=False)
    assert action.dtype == np.int32
    assert action.tolist() == [-4, -1, 2, 7]


def test_a_lone_discrete_action_is_a_numpy_integer_like_a_sample():
    space = spaces.Discrete(3, start=5)
    action = decode_action(space, {"action": np.array(2)}, batched=False)
    assert type(action) is type(space.sample())
    assert action == 7


@settings(max_examples=60, deadline=None)
@given(any_space(), st.integers(0, 2**31 - 1))
def test_decoded_actions_are_inside_the_space_one_by_one_and_batched(space, seed):
    rng = np.random.default_rng(seed)
    stored = {}
    for part in action_parts(space):
        if part.kind == "discrete":
            stored[part.name] = rng.integers(0, part.sizes, (3, len(part.sizes))).reshape(3, *part.shape)
        else:
            stored[part.name] = rng.normal(scale=5, size=(3, *part.shape)).astype(np.float32)
    rows = action_rows(space, decode_action(space, stored, batched=True))
    assert len(rows) == 3
    for index, row in enumerate(rows):
        assert space.contains(row), (space, row)
        single = decode_action(space, {name: value[index] for name, value in stored.items()}, batched=False)
        assert space.contains(single)
        left, right = flatten_observation(space, row), flatten_observation(space, single)
        for name in left:
            np.testing.assert_array_equal(left[name], right[name])


@settings(max_examples=60, deadline=None)
@given(any_space())
def test_json_gives_back_an_equal_space(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    again = space_from_json(json.loads(text))
    assert again == space
    assert list(observation_spaces(again)) == list(observation_spaces(space))  # the order of the parts too
    assert [part.sizes for part in action_parts(again)] == [part.sizes for part in action_parts(space)]


def test_json_of_an_image_is_small():
    assert len(json.dumps(space_to_json(spaces.Box(0, 255, (4, 84, 84), np.uint8)))) < 120


@pytest.mark.parametrize("data", [{}, {"type": "Graph"}, {"type": "Box"}, {"type": "Discrete", "n": "x", "start": 0}])
def test_json_that_describes_no_space_is_refused(data):
    with pytest.raises(UsageError, match="not the description of a space"):
        space_from_json(data)


def test_action_mask_leaves_are_recognised():
    assert is_action_mask("action_mask")
    assert is_action_mask("action_mask/move")
    assert not is_action_mask("action_masks")
