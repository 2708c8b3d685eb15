import dataclasses
import pickle

import pytest

from sf_core import Arg, EncoderSpec, EnvSpec, Metric, Preset, WrapperSpec

FACTORY = "pkg.env:make"


@pytest.mark.parametrize("name", ["", "two words", "a,b", "a=b", "-p", "atari/pong", "gym:", None, 3])
def test_a_name_that_a_command_line_cannot_hold_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        EnvSpec(name=name, factory=FACTORY)


@pytest.mark.parametrize("name", ["gym:", "ALE/", "dmlab_"])
def test_families_may_have_slashes_and_colons(name):
    assert EnvSpec(name=name, factory=FACTORY, family=True).name == name


@pytest.mark.parametrize(
    "ref", ["", "pkg.env", "pkg.env:", ":make", "pkg-env:make", "pkg.env:make()", "a b:c", 3, None]
)
def test_a_reference_of_the_wrong_shape_is_refused(ref):
    with pytest.raises(ValueError, match="factory"):
        EnvSpec(name="x", factory=ref)


def test_optional_references_are_checked_too():
    with pytest.raises(ValueError, match="vector_factory"):
        EnvSpec(name="x", factory=FACTORY, vector_factory="nonsense")
    with pytest.raises(ValueError, match="accepts"):
        EncoderSpec(name="x", factory=FACTORY, accepts="nonsense")
    assert EncoderSpec(name="x", factory=FACTORY, accepts="pkg.model:accepts").accepts == "pkg.model:accepts"


def test_a_tuple_written_without_its_comma_is_refused():
    with pytest.raises(TypeError, match="requires='vizdoom'"):
        EnvSpec(name="x", factory=FACTORY, requires="vizdoom")
    with pytest.raises(TypeError, match="args"):
        EnvSpec(name="x", factory=FACTORY, args=Arg("--size"))
    with pytest.raises(TypeError, match="metrics"):
        EnvSpec(name="x", factory=FACTORY, metrics=("distance",))


def test_requirements_give_the_name_to_install():
    assert EnvSpec(name="x", factory=FACTORY, requires=("torch",)).requirements == {"torch": "torch"}
    both = EnvSpec(name="x", factory=FACTORY, requires={"cv2": "opencv-python", "torch": ""})
    assert both.requirements == {"cv2": "opencv-python", "torch": "torch"}


def test_specs_are_frozen_and_keep_their_own_copies():
    params = {"rom": "pong"}
    spec = EnvSpec(name="x", factory=FACTORY, params=params)
    params["rom"] = "breakout"
    assert spec.params == {"rom": "pong"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "y"


def test_replaces_names_the_owner_and_the_same_name():
    assert WrapperSpec(name="x", factory=FACTORY, replaces="other/x").replaces == "other/x"
    for wrong in ("x", "other/y", "/x/"):
        with pytest.raises(ValueError, match="replaces"):
            WrapperSpec(name="x", factory=FACTORY, replaces=wrong)


def test_specs_pickle():
    spec = EnvSpec(name="x", factory=FACTORY, args=(Arg("--size", int, 3, choices=[3, 5]),), metrics=(Metric("d"),))
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize("flag", ["size", "-s", "--", "--a-b", "--a b", "--a=1", 3])
def test_a_flag_that_argparse_would_misread_is_refused(flag):
    with pytest.raises(ValueError, match="flag="):
        Arg(flag)


def test_args_are_written_positionally_and_compare_by_value():
    assert Arg("--size", int, 16, "side") == Arg("--size", type=int, default=16, help="side")
    assert Arg("--size", int, 16) != Arg("--size", int, 17)
    assert Arg("--maze_size").name == "maze_size"


def test_presets_hold_values():
    preset = Preset(name="fast", values={"gamma": 0.9}, applies_to=("maze*",))
    assert preset.values == {"gamma": 0.9}
    with pytest.raises(TypeError, match="values"):
        Preset(name="fast", values=[("gamma", 0.9)])
