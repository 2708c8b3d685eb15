"""Which steps of a session are shown or recorded, and at which frame skip."""

import pytest

from sf_core import UsageError
from sf_core.cfg.config import Config
from sf_core.enjoy import Viewing, at_frame_skip
from sf_core.utils.attr_dict import AttrDict

UNLIMITED = 10**9


def recorded(episode_lengths, **changes):
    """Numbers of the steps recorded, and how many steps were taken."""
    cfg = AttrDict(
        save_video=True, max_num_episodes=UNLIMITED, max_num_frames=UNLIMITED, video_frames=UNLIMITED, episodes=None
    )
    cfg.update(changes)
    ends = [sum(episode_lengths[: index + 1]) for index in range(len(episode_lengths))]
    step, video = 0, []
    viewing = Viewing(cfg)
    while True:
        step += 1
        num_ended = sum(end <= step for end in ends)
        shown, goes_on = viewing.after_step(num_ended)
        if shown:
            video.append(step)
        if not goes_on or num_ended >= min(viewing.num_episodes, len(ends)):
            return video, step


@pytest.mark.parametrize(
    ("changes", "frames", "steps"),
    [
        ({"max_num_episodes": 2}, [1, 2, 3, 4, 5, 6, 7], 7),
        ({"episodes": 2}, [1, 2, 3, 4, 5, 6, 7], 7),
        ({"video_frames": 5}, [1, 2, 3, 4, 5], 5),  # a video is all there is to do
        ({"video_frames": 5, "max_num_episodes": 2}, [1, 2, 3, 4, 5], 7),
        # what the fourth step leaves to draw is the beginning of the next episode
        ({"video_frames": -1}, [1, 2, 3], 4),
        ({"video_frames": -1, "max_num_episodes": 3}, [1, 2, 3], 9),
        ({"max_num_frames": 6, "max_num_episodes": 3}, [1, 2, 3, 4, 5, 6], 6),
        ({}, [1, 2, 3, 4], 4),  # a video without a limit is one episode
        ({"save_video": False}, [1, 2, 3, 4, 5, 6, 7, 8, 9], 9),  # somebody looks on for as long as there is something
    ],
)
def test_a_video_holds_the_frames_asked_for_and_evaluation_goes_on(changes, frames, steps):
    assert recorded([4, 3, 2], **changes) == (frames, steps)


@pytest.mark.parametrize(
    ("flags", "frame_skip", "repeat"),
    [
        ({}, 4, 1),
        ({"eval_env_frameskip": 1}, 1, 4),
        ({"eval_env_frameskip": 2}, 2, 2),
        ({"render_action_repeat": 4}, 1, 4),
        ({"render_action_repeat": 2, "eval_env_frameskip": 2}, 2, 2),
    ],
)
def test_a_lower_frame_skip_is_made_up_for_by_repeating_actions(flags, frame_skip, repeat):
    cfg = Config({"env_frameskip": 4, "eval_env_frameskip": None, "render_action_repeat": None, **flags})
    shown, times = at_frame_skip(cfg)
    assert (shown.env_frameskip, times) == (frame_skip, repeat)
    if flags:  # the env may want to know both
        assert (shown.eval_env_frameskip, shown.render_action_repeat) == (frame_skip, repeat)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"eval_env_frameskip": 3}, "--eval_env_frameskip=3 does not divide env_frameskip=4; try one of 1, 2, 4."),
        ({"render_action_repeat": 8}, "--render_action_repeat=8 does not divide"),
        ({"render_action_repeat": 4, "eval_env_frameskip": 2}, "do not make up env_frameskip=4"),
    ],
)
def test_frame_skips_that_do_not_fit_are_refused(flags, sentence):
    cfg = Config({"env_frameskip": 4, "eval_env_frameskip": None, "render_action_repeat": None, **flags})
    with pytest.raises(UsageError, match=sentence):
        at_frame_skip(cfg)
