"""Which steps of an evaluation end up in the video."""

import pytest

from sf_core.enjoy import _num_episodes, _on_step
from sf_core.utils.attr_dict import AttrDict

UNLIMITED = 10**9


class Frames(list):
    write = list.append


def recorded(episode_lengths, **changes):
    """Numbers of the steps recorded, and how many steps were taken."""
    cfg = AttrDict(
        save_video=True, no_render=False, max_num_episodes=UNLIMITED, max_num_frames=UNLIMITED, video_frames=UNLIMITED
    )
    cfg.update(changes)
    ends = [sum(episode_lengths[: index + 1]) for index in range(len(episode_lengths))]
    step, video = 0, Frames()
    on_step = _on_step(cfg, lambda: step, 30.0, video)
    while True:
        step += 1
        num_ended = sum(end <= step for end in ends)
        if not on_step(num_ended) or num_ended >= min(_num_episodes(cfg), len(ends)):
            return list(video), step


@pytest.mark.parametrize(
    ("changes", "frames", "steps"),
    [
        ({"max_num_episodes": 2}, [1, 2, 3, 4, 5, 6, 7], 7),
        ({"video_frames": 5}, [1, 2, 3, 4, 5], 5),  # a video is all there is to do
        ({"video_frames": 5, "max_num_episodes": 2}, [1, 2, 3, 4, 5], 7),
        # what the fourth step leaves to draw is the beginning of the next episode
        ({"video_frames": -1}, [1, 2, 3], 4),
        ({"video_frames": -1, "max_num_episodes": 3}, [1, 2, 3], 9),
        ({"max_num_frames": 6, "max_num_episodes": 3}, [1, 2, 3, 4, 5, 6], 6),
    ],
)
def test_a_video_holds_the_frames_asked_for_and_evaluation_goes_on(changes, frames, steps):
    assert recorded([4, 3, 2], **changes) == (frames, steps)
