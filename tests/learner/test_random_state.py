import json
import random

import numpy as np
import torch

from sf_core.learner.random_state import capture_random_state, restore_random_state


def draw(generator):
    return (
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(())),
        float(torch.rand((), generator=generator)),
    )


def test_every_generator_repeats_itself_after_a_round_trip_through_json():
    generator = torch.Generator().manual_seed(1)
    random.gauss(0, 1)  # leaves a second number in store
    np.random.randn()
    text = json.dumps(capture_random_state({"actions": generator}), allow_nan=False)
    first = draw(generator)
    other = torch.Generator()
    assert restore_random_state(json.loads(text), {"actions": other})
    assert draw(other) == first


def test_a_generator_that_was_not_saved_is_left_alone_and_reported():
    state = capture_random_state()
    generator = torch.Generator().manual_seed(4)
    before = generator.get_state()
    assert not restore_random_state(state, {"new": generator})
    assert torch.equal(before, generator.get_state())
