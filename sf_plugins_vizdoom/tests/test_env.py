from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vizdoom
from sf_plugins_vizdoom.env import DoomEnv, make_doom_env
from sf_plugins_vizdoom.screen import Shrinker

CFG = {"env_frameskip": 4, "res_w": 128, "res_h": 72, "wide_aspect_ratio": False, "pixel_format": "CHW"}
BASIC = Path(vizdoom.scenarios_path) / "basic.cfg"


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


def children() -> set[int]:
    """Processes that this one started."""
    threads = Path("/proc/self/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text().split()}


@pytest.fixture
def doom(tmp_path, monkeypatch):
    """Builds environments that run in a directory of their own, and closes them."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(render_mode=None, **changes):
        env = make_doom_env("doom_basic", {**CFG, **changes}, {}, render_mode, scenario="basic.cfg", reward_scale=0.01)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def test_spaces_are_those_of_sample_factory(doom):
    env = doom()
    assert env.action_space.n == 4  # nothing, left, right, attack
    assert env.observation_space.shape == (3, 72, 128)
    assert env.observation_space.dtype == np.uint8


def test_idling_runs_into_the_time_limit_with_the_last_frame(doom):
    env = doom()
    frame, _ = env.reset(seed=0)
    assert frame.std() > 0
    for step in range(1, 100):  # noqa: B007
        frame, reward, terminated, truncated, _ = env.step(np.int64(0))
        assert reward == pytest.approx(-0.04)  # -1 a tic, 4 tics, scaled by 0.01
        assert not terminated
        assert env.observation_space.contains(frame)
        assert frame.std() > 0  # never the black screen of a game that is over
        if truncated:
            break
    assert step == 75  # 300 tics


def test_hitting_the_monster_ends_the_task(doom):
    env = doom()
    random = np.random.default_rng(0)
    endings = []
    for episode in range(8):
        env.reset(seed=episode)
        done = False
        while not done:
            _, reward, terminated, truncated, _ = env.step(random.integers(4))
            done = terminated or truncated
        endings.append((terminated, truncated))
        # The kill is worth 101 points, a shot costs 5 or 6 and a tic 1: in the last step, 0.01 * (101 - 6 - 4) or more.
        assert reward >= 0.91 - 1e-9 if terminated else reward < 0
    assert set(endings) == {(True, False), (False, True)}


def test_the_same_seed_gives_the_same_episodes(doom):
    def two_episodes(seed):
        env, random, frames, rewards = doom(), np.random.default_rng(1), [], []
        frames.append(env.reset(seed=seed)[0])
        for _episode in range(2):
            for _ in range(15):
                frame, reward, terminated, truncated, _ = env.step(random.integers(4))
                frames.append(frame)
                rewards.append(reward)
                if terminated or truncated:
                    break
            frames.append(env.reset()[0])
        env.close()
        return np.stack(frames), rewards

    frames, rewards = two_episodes(5)
    again, rewards_again = two_episodes(5)
    other, _ = two_episodes(6)
    np.testing.assert_array_equal(frames, again)
    assert rewards == rewards_again
    assert not np.array_equal(frames[0], other[0])


@linux_only
def test_the_engine_starts_with_the_first_episode_and_leaves_nothing_behind(doom, tmp_path, monkeypatch):
    private = tmp_path / "temporary"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    before = children()
    env = doom()
    assert children() == before
    env.reset(seed=0)
    assert len(children() - before) == 1
    env.close()
    env.close()
    assert children() == before
    assert list(private.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path != private] == ["_vizdoom"]
    assert not any((tmp_path / "_vizdoom").iterdir())


@linux_only
def test_an_interpreter_that_forgets_to_close_leaves_no_engine(tmp_path):
    script = (
        "import os; from pathlib import Path; from sf_plugins_vizdoom.env import DoomEnv;"
        f"os.chdir({str(tmp_path)!r}); env = DoomEnv(Path({str(BASIC)!r}));env.reset(seed=0);"
        "print(*(child.read_text() for child in Path('/proc/self/task').glob('*/children')))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (engine,) = result.stdout.split()  # and not a word from the engine
    assert not Path(f"/proc/{engine}").exists()


def test_a_game_can_be_started_again_after_it_was_closed(doom):
    env = doom()
    first, _ = env.reset(seed=3)
    env.close()
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(first, again)


def test_a_frame_is_drawn_in_colour_as_the_engine_made_it(doom):
    env = doom("rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.shape == (120, 160, 3)
    assert frame.dtype == np.uint8
    assert (frame[..., 0] != frame[..., 2]).any()
    assert env.metadata["render_fps"] == 35 / 4


def test_a_frame_that_was_drawn_does_not_change_afterwards(doom):
    env = doom("rgb_array")
    seen, _ = env.reset(seed=0)
    frame = env.render()
    kept = seen.copy(), frame.copy()
    for _ in range(5):
        env.step(np.int64(1))
    np.testing.assert_array_equal(seen, kept[0])
    np.testing.assert_array_equal(frame, kept[1])


def test_size_layout_and_view_can_be_chosen(doom):
    env = doom(res_w=64, res_h=48, wide_aspect_ratio=True, pixel_format="HWC")
    frame, _ = env.reset(seed=0)
    assert frame.shape == env.observation_space.shape == (48, 64, 3)


def test_gymnasium_accepts_the_environment(doom):
    from gymnasium.utils.env_checker import check_env

    check_env(doom(), skip_render_check=True)


def test_shrinking_picks_the_pixels_that_opencv_picks():
    cv2 = pytest.importorskip("cv2")
    screen = np.random.default_rng(0).integers(0, 256, (3, 120, 160), dtype=np.uint8)
    theirs = cv2.resize(screen.transpose(1, 2, 0), (128, 72), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(Shrinker((120, 160), (72, 128), channels_last=True)(screen), theirs)
    np.testing.assert_array_equal(Shrinker((120, 160), (72, 128))(screen), theirs.transpose(2, 0, 1))


def test_two_games_in_one_process_do_not_disturb_each_other(doom):
    one, two = doom(), doom()
    first, _ = one.reset(seed=1)
    second, _ = two.reset(seed=2)
    moved, *_ = one.step(np.int64(1))
    stayed, *_ = two.step(np.int64(0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(moved, stayed)
    one.close()
    two.step(np.int64(0))


def test_a_missing_scenario_is_named():
    with pytest.raises(Exception, match=r"nowhere\.cfg"):
        DoomEnv(Path("nowhere.cfg"))
