"""The panel beside the picture: what is in it, for every kind of action, always of one size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from sf_core.envs.spaces import action_parts, observation_spaces
from sf_core.eval.overlay import Overlay, images_in
from sf_core.model.action_distribution import ActionLayout

PICTURE = np.full((200, 300, 3), 255, np.uint8)


def drawn(action_space, observation_space, logits, action, observation, pictures=1):
    policy = SimpleNamespace(layout=ActionLayout(action_parts(action_space)))
    leaves = observation_spaces(observation_space)
    overlay = Overlay(policy, SimpleNamespace(observation_space=spaces.Dict(leaves), agents_per_env=1))
    output = SimpleNamespace(
        action={name: torch.as_tensor(value)[None] for name, value in action.items()},
        action_logits=torch.as_tensor(logits, dtype=torch.float32)[None],
        value=torch.tensor([1.5]),
    )
    step = SimpleNamespace(reward=np.ones(1, np.float32), episode_end=np.zeros(1, bool))
    moment = SimpleNamespace(observation={k: x[None] for k, x in observation.items()}, output=output, step=step)
    return [overlay.draw(PICTURE, moment) for _ in range(pictures)]


def colour_share(image, colour):
    return float((image[:, 300:] == colour).all(-1).sum())


ORANGE, BLUE = (242, 142, 43), (78, 121, 167)


def test_bars_are_as_long_as_actions_are_probable_and_the_chosen_one_is_marked():
    space = spaces.Box(-1, 1, (3,), np.float32)
    logits = np.log([0.2, 0.6, 0.2])
    observation = {"obs": np.zeros(3, np.float32)}
    (image,) = drawn(spaces.Discrete(3), space, logits, {"action": 1}, observation)
    assert (image[:200, :300] == PICTURE)[70:130].all()  # the picture is there, as it was
    orange, blue = colour_share(image, ORANGE), colour_share(image, BLUE)
    assert orange / (orange + blue) == pytest.approx(0.6, abs=0.02)


def test_a_masked_action_has_no_bar():
    space = spaces.Dict(obs=spaces.Box(-1, 1, (3,), np.float32), action_mask=spaces.MultiBinary(2))
    observation = {"obs": np.zeros(3, np.float32), "action_mask": np.array([1, 0], np.int8)}
    (image,) = drawn(spaces.Discrete(2), space, [0.0, 5.0], {"action": 0}, observation)
    assert colour_share(image, ORANGE) > 0
    assert colour_share(image, BLUE) == 0


def test_what_the_policy_saw_is_shown_and_the_panel_keeps_its_size():
    space = spaces.Box(0, 255, (4, 36, 36), np.uint8)
    action = {"0": np.array([1, 2]), "1": np.zeros(2, np.float32)}
    actions = spaces.Tuple((spaces.MultiDiscrete([3, 30]), spaces.Box(-1, 1, (2,), np.float32)))
    observation = {"obs": np.full((4, 36, 36), 77, np.uint8)}
    first, second = drawn(actions, space, np.zeros(37), action, observation, pictures=2)
    assert first.shape == second.shape
    assert colour_share(first, (77, 77, 77)) == 2 * 100 * 100  # the newest two of the stack
    assert not (first == second).all()  # the return grew


@pytest.mark.parametrize(
    ("shape", "frames", "colours"),
    [((40, 50), 1, 1), ((1, 40, 50), 1, 1), ((40, 50, 3), 1, 3), ((3, 40, 50), 1, 3), ((4, 40, 50), 4, 1),
     ((40, 50, 6), 2, 3), ((7,), 0, 0), ((3, 3, 3), 0, 0)],
)  # fmt: skip
def test_images_are_found_in_every_layout(shape, frames, colours):
    found = images_in(np.zeros(shape, np.uint8), spaces.Box(0, 255, shape, np.uint8))
    assert len(found) == frames
    assert all(frame.shape == ((40, 50, 3) if colours == 3 else (40, 50)) for frame in found)


def test_images_of_numbers_are_scaled_by_their_bounds():
    space = spaces.Box(-1.0, 1.0, (10, 10), np.float32)
    assert images_in(np.zeros((10, 10), np.float32), space)[0][0, 0] == 127
