import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from sf_core.eval.video import VideoWriter, enlarge, unused_path
from sf_core.utils.errors import UsageError


def frames(count, height=50, width=80):
    for index in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, : width * (index + 1) // count] = (255, 0, 0)
        yield frame


def read_mp4(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, [np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader below leaves a pipe open
def test_mp4_holds_every_frame_in_order_and_speed(tmp_path):
    with VideoWriter(tmp_path / "replay.mp4", fps=15) as video:
        for frame in frames(12):
            video.write(frame)
    meta, shown = read_mp4(video.path)
    assert video.num_frames == len(shown) == 12
    assert meta["fps"] == 15
    assert meta["size"] == (320, 200)  # 50 rows repeated 4 times are the first multiple above 180
    red_share = [float((frame[..., 0] > 128).mean()) for frame in shown]
    assert red_share == pytest.approx([(index + 1) / 12 for index in range(12)], abs=0.03)


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ([(50, 80)], r"shape \(50, 80\); render\(\) must return"),
        ([(50, 80, 4)], r"shape \(50, 80, 4\); render\(\) must return"),
        ([(50, 80, 3), (80, 50, 3)], r"shape \(80, 50, 3\) and the first one \(50, 80, 3\)"),
    ],
)
def test_what_would_be_read_as_another_picture_is_refused(tmp_path, shapes, sentence):
    *before, wrong = shapes
    with VideoWriter(tmp_path / "replay.gif", fps=15) as video:
        for shape in before:
            video.write(np.zeros(shape, np.uint8))
        with pytest.raises(UsageError, match=sentence):
            video.write(np.zeros(wrong, np.uint8))
    assert video.num_frames == len(before)


def test_small_frames_are_enlarged_and_sides_are_even():
    assert enlarge(np.zeros((84, 84, 3), np.uint8)).shape == (252, 252, 3)
    assert enlarge(np.zeros((211, 161, 3), np.uint8)).shape == (422, 322, 3)
    assert enlarge(np.zeros((401, 600, 3), np.uint8)).shape == (400, 600, 3)


def test_without_an_encoder_a_gif_is_written_instead(tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: (_ for _ in ()).throw(RuntimeError("no ffmpeg")))
    with VideoWriter(tmp_path / "replay.mp4", fps=10) as video:
        for frame in frames(5):
            video.write(frame)
    assert video.path == tmp_path / "replay.gif"
    with Image.open(video.path) as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 100


def test_importing_the_writer_needs_no_encoder():
    code = "import sys, sf_core.eval.video; sys.exit('imageio_ffmpeg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_gif_is_streamed_with_its_own_colours(tmp_path):
    with VideoWriter(tmp_path / "replay.gif", fps=20) as video:
        for frame in frames(6):
            video.write(frame)
    with Image.open(video.path) as image:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
        assert image.info["duration"] == 50
    red_share = [float((frame[..., 0] > 128).mean()) for frame in shown]
    assert red_share == pytest.approx([(index + 1) / 6 for index in range(6)], abs=0.03)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio leaves a pipe open
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_what_cannot_be_written_is_one_sentence(tmp_path, name):
    def write():
        with VideoWriter(tmp_path / "nowhere" / name, 30) as video:
            for _ in range(200):  # until ffmpeg has ended
                video.write(np.zeros((400, 600, 3), np.uint8))

    with pytest.raises(UsageError, match="cannot be written"):
        write()


def test_a_name_that_is_taken_is_counted_up(tmp_path):
    for expected in ("replay.mp4", "replay_2.mp4", "replay_3.mp4"):
        path = unused_path(tmp_path / "replay.mp4")
        assert path.name == expected
        path.touch()
