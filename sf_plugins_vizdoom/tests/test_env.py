from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import vizdoom
from sf_plugins_vizdoom.check import play
from sf_plugins_vizdoom.env import make_custom_env, make_doom_env
from sf_plugins_vizdoom.scenarios import find
from sf_plugins_vizdoom.screen import Shrinker
from sf_plugins_vizdoom.tasks import TASKS

from sf_core import UsageError

CFG = {"env_frameskip": 4, "res_w": 128, "res_h": 72, "wide_aspect_ratio": False, "pixel_format": "CHW"}

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

    def make(render_mode=None, *, task="doom_basic", **changes):
        env = make_doom_env(task, {**CFG, **changes}, {"env_id": 0}, render_mode, task=task)
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
    assert list(tmp_path.iterdir()) == [private]


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_the_end_of_a_batch_job_are_left_to_the_process_that_plays(doom, number):
    env = doom()
    env.reset(seed=0)
    os.kill(env._agent.player.engine.pid, number)  # as a terminal does to all of its processes
    time.sleep(0.2)
    for _ in range(3):
        env.step(np.int64(1))
    env.reset()
    before = children()
    env.close()
    assert len(before - children()) == 1  # it still ends when it is told to


START_A_GAME = (
    "import os, signal; from pathlib import Path; from sf_plugins_vizdoom.env import make_doom_env;"
    f"env = make_doom_env('doom_basic', {CFG}, {{}}, task='doom_basic'); env.reset(seed=0);"
    "print(*(child.read_text() for child in Path('/proc/self/task').glob('*/children')), flush=True);"
)


def run_python(script, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)


def gone(pid):
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


@linux_only
def test_an_interpreter_that_forgets_to_close_leaves_no_engine(tmp_path):
    result = run_python(START_A_GAME, tmp_path)
    (engine,) = result.stdout.split()  # and not a word from the engine
    assert gone(engine)
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_a_process_that_is_killed_leaves_no_engine_and_the_next_one_clears_away_its_remains(tmp_path):
    result = run_python(START_A_GAME + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    (engine,) = result.stdout.split()
    assert gone(engine)
    (remains,) = tmp_path.iterdir()
    arguments = (remains / "arguments").read_text().split()
    instance = arguments[arguments.index("+viz_instance_id") + 1]
    assert list(Path("/dev/shm").glob(f"ViZDoom*{instance}"))
    run_python(START_A_GAME, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not list(Path("/dev/shm").glob(f"ViZDoom*{instance}"))


def play_on(step):
    for _ in range(3):
        step()


@linux_only
def test_an_engine_that_is_killed_is_an_error_and_a_reset_starts_another(doom):
    env = doom()
    env.reset(seed=0)
    (engine,) = children()
    os.kill(engine, signal.SIGKILL)
    with pytest.raises(vizdoom.ViZDoomErrorException):
        play_on(lambda: env.step(np.int64(0)))
    assert children() == set()
    env.reset()
    env.step(np.int64(0))


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


def test_a_missing_map_is_named_with_the_command_that_gets_it(doom, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SF_DOOM_SCENARIOS", raising=False)
    with pytest.raises(UsageError, match=r"needs ssl2\.wad.*scenarios fetch"):
        doom(task="doom_duel_bots", doom_scenarios_dir=str(tmp_path))


def test_the_engines_resolution_can_be_chosen(doom):
    env = doom("rgb_array", doom_resolution="320x240")
    env.reset(seed=0)
    assert env.render().shape == (240, 320, 3)
    with pytest.raises(UsageError, match=r"--doom_resolution=1x1 is none of the engine's: 160x120"):
        doom(doom_resolution="1x1")


def test_a_time_limit_in_minutes_truncates(doom):
    env = doom(task="doom_take_cover", timelimit=20 / (60 * 35))  # 20 tics
    env.reset(seed=0)
    ends = [env.step(np.int64(0))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]
    for no_limit in (0.0, float("inf")):
        with pytest.raises(UsageError, match=f"--timelimit={no_limit}: give minutes"):
            doom(timelimit=no_limit)


def test_a_directory_of_maps_that_is_not_there_is_refused(doom, tmp_path):
    doom(doom_scenarios_dir=str(tmp_path))  # has no map of that name, the package has
    with pytest.raises(UsageError, match="--doom_scenarios_dir=nowhere is no directory"):
        doom(doom_scenarios_dir="nowhere")


def test_an_observation_without_pixels_is_refused(doom):
    with pytest.raises(UsageError, match="--res_w=0: an observation has at least one pixel"):
        doom(res_w=0)
    with pytest.raises(UsageError, match="--res_h=-5"):
        doom(res_h=-5)


def test_dying_is_terminated_also_where_health_is_gathered(doom):
    env = doom(task="doom_health_gathering")
    env.reset(seed=0)
    raw = 0.0
    for _ in range(600):
        _, reward, terminated, truncated, info = env.step(np.int64(0))
        raw += reward
        if terminated or truncated:
            break
    assert (terminated, truncated) == (True, False)
    # 0.01 per tic and no medikit: the acid kills an agent that stands still
    assert info["true_objective"] == pytest.approx(raw)
    assert info["episode_extra_stats"] == {"unshaped_return": pytest.approx(raw)}


def test_time_is_up_is_truncated_also_for_who_is_dead_and_waits_to_come_back(doom, monkeypatch):
    monkeypatch.setitem(TASKS, "doom_multi_duel", dataclasses.replace(TASKS["doom_multi_duel"], respawn_delay=2))
    env = doom(task="doom_multi_duel", num_agents=1, num_bots=0, timelimit=20 / (60 * 35))  # 20 tics
    env.reset(seed=0)
    env.step(np.int64(0))
    env._agent.player.commands(["kill"])
    ends = [env.step(np.int64(0))[2:4] for _ in range(4)]
    assert env._agent.player.game.is_player_dead()
    assert ends == [(False, False)] * 3 + [(False, True)]


def test_a_game_against_bots_counts_frags_and_repeats_itself(doom):
    def play():
        env = doom(task="doom_dm", num_agents=1, num_bots=3, bot_difficulty=80, timelimit=0.2)
        env.action_space.seed(0)
        seen = env.reset(seed=1)[0]
        rewards = []
        for _ in range(200):
            seen, reward, terminated, truncated, info = env.step(env.action_space.sample())
            rewards.append(reward)
            if terminated or truncated:
                break
        env.close()
        return seen, rewards, terminated, truncated, info

    seen, rewards, terminated, truncated, info = play()
    assert (terminated, truncated, len(rewards)) == (False, True, 105)  # 420 tics
    assert set(info["episode_extra_stats"]) == {
        *("frags", "deaths", "kdr", "final_place", "leader_gap", "unshaped_return"),
    }
    assert 1 <= info["episode_extra_stats"]["final_place"] <= 4
    assert info["true_objective"] in (0.0, 1.0)
    assert set(seen) == {"obs", "measurements"}
    assert seen["measurements"][6] == pytest.approx(4 / 5)  # four players are there
    again, rewards_again, *_ = play()
    np.testing.assert_array_equal(seen["obs"], again["obs"])
    assert rewards == rewards_again


def test_what_happens_in_the_last_step_counts(doom):
    env = doom(task="doom_dm", num_agents=1, num_bots=1, timelimit=22 / (60 * 35))  # 22 tics, so the last step has two
    env.action_space.seed(0)
    env.reset(seed=1)
    for _ in range(5):
        _, _, _, truncated, _ = env.step(env.action_space.sample())
    assert not truncated
    env._agent.player.commands(["kill"])
    _, reward, _, truncated, info = env.step(env.action_space.sample())
    assert truncated
    assert info["episode_extra_stats"]["deaths"] == 1
    assert info["episode_extra_stats"]["frags"] == -1
    assert reward == 0  # as in Sample Factory, the last step of an episode is not shaped


def test_a_recorded_episode_shows_the_same_game_again_and_others_are_kept(doom, tmp_path):
    from sf_plugins_vizdoom.game import game_from

    from sf_plugins_vizdoom import demo

    (tmp_path / "demos").mkdir()
    (tmp_path / "demos" / "e006.lmp").write_bytes(b"kept")
    env = doom("rgb_array", record_to="demos")
    env.reset(seed=3)
    seen = [env.render()]
    for step in range(12):
        env.step(np.int64(1 + step // 4 % 2))  # to the left and to the right
        seen.append(env.render())
    env.reset()
    env.close()
    assert (tmp_path / "demos" / "e006.lmp").read_bytes() == b"kept"
    file = tmp_path / "demos" / "e007.lmp"
    frames = list(demo.replay(game_from({**demo.SETTINGS, "doom_resolution": "160x120"}, "doom_basic"), file))
    wrong, too_late = (
        [np.mean(frames[4 * step + late] != screen) for step, screen in enumerate(seen[:-1])] for late in (0, 2)
    )
    assert max(wrong) < 0.02  # a screen every four tics
    assert np.mean(too_late) > 0.1
    large = game_from({**demo.SETTINGS, "doom_resolution": "320x240"}, "doom_basic")
    assert next(demo.replay(large, file)).shape == (240, 320, 3)
    assert demo.main(["doom_basic", "nowhere.lmp"]) == 2
    with pytest.raises(UsageError, match="cannot record"):
        doom(task="doom_multi_duel", record_to="demos")


def test_two_that_record_into_one_directory_keep_what_was_played_and_nothing_else(doom, tmp_path):
    demos = tmp_path / "demos"
    one, other = doom(record_to="demos"), doom(record_to="demos")
    for env in (one, other):
        env.reset(seed=3)
        env.step(np.int64(1))
    one.reset()
    one.reset()
    one.close()
    other.reset()
    with pytest.raises(IndexError):
        other.step(np.int64(9))  # the engine lives, and its recording is ended in an orderly way
    kept = [(file.name, file.stat().st_size > 100) for file in sorted(demos.iterdir())]
    assert kept == [("e000.lmp", True), ("e001.lmp", True)]


def test_what_cannot_be_replayed_or_shown_is_a_sentence(tmp_path, monkeypatch, capsys):
    from sf_plugins_vizdoom import demo

    monkeypatch.chdir(tmp_path)
    Path("junk.lmp").write_bytes(b"junk")
    assert demo.main(["doom_basic", "junk.lmp"]) == 2
    assert "junk.lmp is no recording that the engine can play" in capsys.readouterr().err
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert demo.main(["doom_basic", "junk.lmp", "--watch"]) == 2
    assert "there is no display" in capsys.readouterr().err


def test_only_the_first_environment_records(tmp_path):
    env = make_doom_env("doom_basic", {**CFG, "record_to": str(tmp_path)}, {"env_id": 1}, task="doom_basic")
    assert env.game.record_to is None


CUSTOM = """
doom_scenario_path = my.wad
living_reward = -1
episode_timeout = 40
available_buttons = { MOVE_LEFT MOVE_RIGHT ATTACK TURN_LEFT_RIGHT_DELTA }
available_game_variables = { AMMO2 HEALTH }
"""


def test_who_watches_sees_the_game_at_its_own_speed(doom):
    env = doom("human")
    env._new_player = env.game.player  # without a window; there is no display
    env.reset(seed=0)
    begin_s = time.monotonic()
    for _ in range(3):
        env.step(np.int64(0))
    assert time.monotonic() - begin_s >= 11 / 35  # 12 tics; the first may happen at once


def test_any_scenario_file_is_an_environment(tmp_path):
    from sf_plugins_vizdoom.scenarios import shipped_dir

    (tmp_path / "my.cfg").write_text(CUSTOM)
    shutil.copy(shipped_dir() / "basic.wad", tmp_path / "my.wad")
    cfg = {**CFG, "doom_actions": "tuple", "doom_measurements": True}
    env = make_custom_env(f"doom:{tmp_path}/my.cfg", cfg, {})
    assert [part.n for part in env.action_space] == [3, 2, 11]
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation["measurements"], [50.0, 100.0])
    ends = [env.step((np.int64(0), np.int64(0), np.int64(5)))[2:4] for _ in range(10)]
    assert ends[-1] == (False, True)
    env.close()
    shipped = make_custom_env("doom:take_cover.cfg", {**cfg, "doom_actions": "flat", "doom_measurements": False}, {})
    assert shipped.action_space.n == 3
    with pytest.raises(UsageError, match="there is no such"):
        make_custom_env("doom:nowhere.cfg", cfg, {})
    with pytest.raises(UsageError, match="flat cannot say how far for TURN_LEFT_RIGHT_DELTA"):
        make_custom_env(f"doom:{tmp_path}/my.cfg", {**cfg, "doom_actions": "flat"}, {})


def test_buttons_that_a_scenario_file_names_apart_do_what_their_heads_say(tmp_path):
    from sf_plugins_vizdoom.scenarios import shipped_dir

    shutil.copy(shipped_dir() / "basic.wad", tmp_path / "my.wad")
    buttons, variables = "MOVE_LEFT ATTACK MOVE_RIGHT", "AMMO2 POSITION_Y"
    (tmp_path / "my.cfg").write_text(
        CUSTOM.replace("MOVE_LEFT MOVE_RIGHT ATTACK TURN_LEFT_RIGHT_DELTA", buttons).replace("AMMO2 HEALTH", variables)
    )
    env = make_custom_env(f"doom:{tmp_path}/my.cfg", {**CFG, "doom_actions": "tuple", "doom_measurements": True}, {})

    def held(*action):  # for five steps: what it does to the ammunition and to where the player stands
        before = env.reset(seed=0)[0]["measurements"]
        for _ in range(5):
            seen = env.step(action)[0]
        return seen["measurements"] - before

    left, right, shot = held(1, 0), held(2, 0), held(0, 1)  # the two ways to go share the first head
    env.close()
    assert left[1] > 5
    assert right[1] < -5
    assert left[0] == right[0] == 0
    assert (shot[0] < 0, shot[1]) == (True, 0)


PLAYABLE = sorted(name for name, task in TASKS.items() if find(task.wad) is not None and task.num_agents <= 4)


@pytest.mark.parametrize("name", PLAYABLE)
def test_every_task_whose_map_is_here_starts_and_steps(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(play(name, steps=4, seed=0).digests) == 5  # it checks every observation against its space
