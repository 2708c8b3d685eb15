"""`enjoy(cfg)` from a run folder: videos, statistics per agent, windows, what is refused."""

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image, ImageSequence

from sf_core import ExperimentStatus, UsageError, parse_full_cfg, parse_sf_args, run_rl
from sf_core.enjoy import enjoy
from sf_core.envs.env_utils import register_env
from sf_core.plugins.script import forget_registrations
from sf_core.testing.fakes import CountingMultiAgentEnv, Script

SCRIPT = Script()


class Painter(gym.Env):
    """Sees images and draws in colour; the red channel counts the steps. Episodes of 6 frames; a step skips some."""

    def __init__(self, frame_skip, render_mode):
        self.observation_space = spaces.Box(0, 255, (2, 36, 36), np.uint8)
        self.action_space = spaces.Discrete(3)
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 60 / frame_skip}
        self._frame_skip = frame_skip
        self.frame, self.num_renders = 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.frame = 0
        return np.zeros((2, 36, 36), np.uint8), {}

    def step(self, action):
        self.frame += self._frame_skip
        observation = np.full((2, 36, 36), 10 * self.frame, np.uint8)
        return observation, 1.0, self.frame >= 6, False, {}

    def render(self):
        self.num_renders += 1
        picture = np.zeros((200, 240, 3), np.uint8)
        picture[..., 0] = 40 * self.frame
        return picture


made = []


def make_painter(full_env_name, cfg, env_config, render_mode=None):
    made.append(Painter(cfg.env_frameskip, render_mode))
    return made[-1]


class DrawnPair(CountingMultiAgentEnv):
    def render(self):
        return np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _envs():
    register_env("painter", make_painter)
    register_env("pair", lambda full_env_name, cfg, env_config, render_mode=None: DrawnPair(2))
    made.clear()
    yield
    forget_registrations()


def cfg_of(train_dir, env, *flags, evaluation=True):
    argv = [f"--train_dir={train_dir}", f"--experiment={env}", f"--env={env}", "--device=cpu", *flags]
    parser, _ = parse_sf_args(argv, evaluation)
    return parse_full_cfg(parser, argv)


@pytest.fixture(scope="module")
def train_dir(tmp_path_factory):
    """Two runs of one training iteration."""
    train_dir = tmp_path_factory.mktemp("train_dir")
    register_env("painter", make_painter)
    register_env("pair", lambda full_env_name, cfg, env_config, render_mode=None: DrawnPair(2))
    small = (
        "--serial_mode=True", "--seed=1", "--rollout=8", "--batch_size=16", "--train_for_env_steps=16",
        "--use_rnn=False", "--encoder_mlp_layers=8", "--encoder_conv_mlp_layers=8", "--torch_threads=1",
    )  # fmt: skip
    for env, flags in (("painter", ("--env_frameskip=2",)), ("pair", ())):
        assert run_rl(cfg_of(train_dir, env, *small, *flags, evaluation=False)) is ExperimentStatus.SUCCESS
    forget_registrations()
    return train_dir


def frames_in(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta["fps"], [np.frombuffer(data, np.uint8).reshape(height, width, 3).copy() for data in reader]


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader's open pipe


def test_a_video_is_real_time_and_the_one_before_is_kept(train_dir, capsys):
    for name in ("replay.mp4", "replay_2.mp4"):
        status, mean = enjoy(cfg_of(train_dir, "painter", "--save_video", "--episodes=2"))
        assert (status, mean) == (ExperimentStatus.SUCCESS, 3.0)
        fps, frames = frames_in(train_dir / "painter" / name)
        assert (fps, len(frames)) == (30, 6)  # 60 frames a second, of which every second one is a step
        out = capsys.readouterr().out
        assert f"Wrote 6 frames to {train_dir / 'painter' / name}" in out
        assert "episode 1: return 3.000, length 6" in out  # env steps, as everywhere: 3 actions of 2 frames


def test_every_frame_of_a_skip_is_shown_where_actions_are_repeated(train_dir, capsys):
    flags = ("--save_video", "--video_name=smooth", "--video_format=gif", "--render_action_repeat=2", "--overlay")
    _, mean = enjoy(cfg_of(train_dir, "painter", *flags))
    assert mean == 6.0  # a reward for each frame, as this env pays by the step
    assert "return 6.000, length 6" in capsys.readouterr().out
    path = train_dir / "painter" / "smooth.gif"
    assert path.read_bytes()[:3] == b"GIF"
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
        delay_ms = image.info["duration"]
    red = [int(frame[frame.shape[0] // 2, 10, 0]) for frame in frames]
    assert len(frames) == 6
    assert np.allclose(red[:5], [40, 80, 120, 160, 200], atol=12)
    assert frames[0].shape[1] == 240 + 232  # the panel
    assert delay_ms == 20  # players show shorter ones as long ones


def test_statistics_are_told_for_each_agent(train_dir, capsys):
    _, mean = enjoy(cfg_of(train_dir, "pair", "--no_render", "--episodes=2"))
    returns = [[SCRIPT.episode_return(agent, number) for number in range(2)] for agent in range(2)]
    assert mean == pytest.approx(np.mean(returns))
    out = capsys.readouterr().out
    assert f"mean return {mean:.3f} over 2 episodes" in out
    for agent in range(2):
        assert f"agent {agent}: mean return {np.mean(returns[agent]):.3f}" in out
        assert f"episode 1, agent {agent}: return {returns[agent][1]:.3f}" in out


def test_the_first_episode_of_several_agents_lasts_until_the_last_of_them(train_dir):
    enjoy(cfg_of(train_dir, "pair", "--save_video", "--video_frames=-1", "--video_name=first"))
    _, frames = frames_in(train_dir / "pair" / "first.mp4")
    lengths = [SCRIPT.length(agent, 0) for agent in range(2)]
    assert lengths[0] < lengths[1]
    assert len(frames) == lengths[1] - 1  # the last step leaves the next episode to draw


def test_an_env_with_a_window_draws_itself_and_one_with_an_overlay_is_drawn(train_dir, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    enjoy(cfg_of(train_dir, "painter", "--episodes=1", "--fps=1000"))
    assert (made[-1].render_mode, made[-1].num_renders) == ("human", 0)  # once more would halve its speed
    pytest.importorskip("pygame")
    enjoy(cfg_of(train_dir, "painter", "--episodes=1", "--fps=1000", "--overlay"))
    assert (made[-1].render_mode, made[-1].num_renders) == ("rgb_array", 3)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "no display to render to; add --save_video"),
        (("--save_video", "--video_name=../x"), "has a folder in it"),
        (("--save_video", "--video_name=x.mp4", "--video_format=gif"), "contradict each other"),
        (("--no_render", "--checkpoint=best_9"), "no checkpoint best_9 in .*; it has checkpoint_000000001_32"),
    ],
)
def test_what_cannot_be_shown_is_refused(train_dir, monkeypatch, flags, sentence):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UsageError, match=sentence):
        enjoy(cfg_of(train_dir, "painter", *flags))
