from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sf_plugins_vizdoom.env import make_doom_env
from sf_plugins_vizdoom.multiplayer import MultiDoomEnv
from sf_plugins_vizdoom.network import Lobby, Port, write_bots
from sf_plugins_vizdoom.remote_player import PlayerLost
from sf_plugins_vizdoom.tasks import TASKS

from sf_core import UsageError

CFG = {"env_frameskip": 4, "res_w": 64, "res_h": 48, "wide_aspect_ratio": False, "pixel_format": "CHW"}


@pytest.fixture
def duel(tmp_path, monkeypatch):
    """A duel of two agents, 24 tics long; closed in the end."""
    monkeypatch.chdir(tmp_path)
    env = make_doom_env("doom_multi_duel", {**CFG, "timelimit": 24 / (60 * 35)}, {}, task="doom_multi_duel")
    yield env
    env.close()


def test_two_agents_play_one_game_that_ends_for_both_and_goes_on(duel):
    observations, infos = duel.reset(seed=0)
    assert len(observations) == len(infos) == 2
    assert not np.array_equal(observations[0]["obs"], observations[1]["obs"])
    ends = []
    for _ in range(12):
        before = observations
        observations, rewards, terminated, truncated, infos = duel.step([1, 2])
        assert len(observations) == len(rewards) == 2
        assert terminated == [False, False]
        assert truncated[0] == truncated[1]
        ends.append(truncated[0])
        for agent in range(2):
            assert duel.observation_space.contains(observations[agent])
            if truncated[0]:
                final = infos[agent]["final_observation"]
                assert np.array_equal(final["obs"], before[agent]["obs"])  # the last screen that showed the game
                assert infos[agent]["true_objective"] in (0.0, 1.0)
                assert infos[agent]["episode_extra_stats"]["final_place"] in (1.0, 2.0)
    assert sum(ends) == 2


def test_what_happens_in_the_last_step_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = {**CFG, "timelimit": 22 / (60 * 35)}  # 22 tics, so the last step has two, and nobody looks at the second
    env = make_doom_env("doom_multi_duel", cfg, {}, task="doom_multi_duel")
    env.reset(seed=0)
    for _ in range(5):
        _, _, _, truncated, _ = env.step([0, 0])
    assert truncated == [False, False]
    env._call("commands", ["kill"])
    _, _, _, truncated, infos = env.step([0, 0])
    env.close()
    assert truncated == [True, True]
    assert [info["episode_extra_stats"]["deaths"] for info in infos] == [1, 1]


def test_an_agent_whose_engine_has_not_seen_the_end_yet_reports_the_episode_too(duel):
    duel.reset(seed=0)
    behind = duel._players[1]
    duel._agents[1].player = SimpleNamespace(
        screen=behind.screen, variables=behind.variables, is_over=False, is_timed_out=False
    )
    ends = [duel.step([0, 0]) for _ in range(6)]  # 24 tics
    _, _, terminated, truncated, infos = ends[-1]
    assert (terminated, truncated) == ([False, False], [True, True])
    for info in infos:
        assert {"true_objective", "episode_extra_stats", "final_observation"} <= set(info)


def test_the_same_seed_starts_the_same_game_for_every_agent(duel):
    one, other, different = (duel.reset(seed=seed)[0] for seed in (5, 5, 6))
    for agent in range(2):
        np.testing.assert_array_equal(one[agent]["obs"], other[agent]["obs"])
        np.testing.assert_array_equal(one[agent]["measurements"], other[agent]["measurements"])
    assert any(not np.array_equal(one[agent]["obs"], different[agent]["obs"]) for agent in range(2))


def test_a_path_that_the_engine_would_not_find_its_bots_by_is_refused(tmp_path, monkeypatch):
    (tmp_path / "with space").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "with space"))
    Lobby(TASKS["doom_dm"]).close()
    with pytest.raises(UsageError, match="--bot_difficulty: the engine takes no path with a space"):
        Lobby(dataclasses.replace(TASKS["doom_dm"], num_bots=2), 50)


def test_an_agent_is_the_player_whose_number_it_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = make_doom_env("doom_multi_deathmatch", {**CFG, "num_agents": 3}, {}, task="doom_multi_deathmatch")
    try:
        env.reset(seed=0)
        assert [agent.player.variables["PLAYER_NUMBER"] for agent in env._agents] == [0, 1, 2]
    finally:
        env.close()


def test_who_watches_sees_the_game_at_its_own_speed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MultiDoomEnv, "_has_window", lambda *_: False)  # there is no display
    env = make_doom_env("doom_multi_duel", CFG, {}, "human", task="doom_multi_duel")
    try:
        env.reset(seed=0)
        begin_s = time.monotonic()
        for _ in range(3):
            env.step([0, 0])
        assert time.monotonic() - begin_s >= 11 / 35  # 12 tics; the first may happen at once
        assert env.render() is None
    finally:
        env.close()


def play_on(step):
    for _ in range(3):
        step()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def processes_of(env):
    return [pid for player in env._players for pid in (player.pid, player.engine_pid)]


def are_gone(pids):
    until_s = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < until_s:
        time.sleep(0.05)
    return not any(map(is_running, pids))


@linux_only
@pytest.mark.parametrize("victim", ["engine of the host", "engine of the guest", "process of the guest"])
def test_whichever_process_is_killed_the_game_ends_and_a_reset_starts_another(duel, victim, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    duel.reset(seed=0)
    duel.step([0, 0])
    player = duel._players["guest" in victim]
    processes = processes_of(duel)
    assert len(set(processes)) == 4
    assert all(map(is_running, processes))
    os.kill(player.engine_pid if "engine" in victim else player.pid, signal.SIGKILL)
    with pytest.raises(PlayerLost):
        play_on(lambda: duel.step([0, 0]))
    assert are_gone(processes)
    with pytest.raises(PlayerLost, match="`reset` starts one"):
        duel.step([0, 0])
    duel.reset()
    duel.step([0, 0])
    processes = processes_of(duel)
    assert all(map(is_running, processes))
    duel.close()
    assert are_gone(processes)
    assert list(tmp_path.iterdir()) == []  # and what the killed one left on the disk


START_A_GAME = f"""
import os, signal
from sf_plugins_vizdoom.env import make_doom_env
env = make_doom_env("doom_multi_duel", {CFG}, {{}}, task="doom_multi_duel")
env.reset(seed=0)
print(*(pid for player in env._players for pid in (player.pid, player.engine_pid)), flush=True)
"""


@linux_only
@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["forgotten", "killed"])
def test_a_process_that_is_gone_leaves_no_player_engine_or_file(end, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", START_A_GAME + end]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=not end)
    processes = [int(pid) for pid in result.stdout.split()]
    assert len(set(processes)) == 4
    assert are_gone(processes)
    assert list(tmp_path.iterdir()) == []


@linux_only
def test_a_player_costs_no_torch_and_no_gymnasium():
    script = "import sys, sf_plugins_vizdoom.remote_player; print({'torch', 'gymnasium', 'pluggy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_weights_of_the_shaping_belong_to_an_agent(duel):
    weights = duel.get_default_reward_shaping()
    assert weights["delta"]["FRAGCOUNT"] == (1.0, -0.001)
    duel.set_reward_shaping({"delta": {"FRAGCOUNT": (5.0, 0.0)}}, 1)
    assert duel._agents[1].weights()["delta"]["FRAGCOUNT"] == (5.0, 0.0)
    assert duel._agents[1].weights()["delta"]["DEATHCOUNT"] == (-1.0, 1.0)
    assert duel.get_default_reward_shaping() == weights


def test_too_many_players_and_people_are_refused():
    with pytest.raises(UsageError, match=r"--num_agents=12 --num_bots=5: .* at most 16 players"):
        make_doom_env("doom_dm", {**CFG, "num_agents": 12, "num_bots": 5}, {}, task="doom_dm")
    with pytest.raises(UsageError, match="--num_humans=1: people cannot play along"):
        make_doom_env("doom_dm", {**CFG, "num_humans": 1}, {}, task="doom_dm")
    with pytest.raises(UsageError, match="--bot_difficulty=101"):
        make_doom_env("doom_dm", {**CFG, "bot_difficulty": 101}, {}, task="doom_dm")


def test_no_two_games_get_one_port():
    ports = [Port() for _ in range(50)]
    assert len({port.number for port in ports}) == 50
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
            engine.bind(("", port.number))  # the UDP port is free for the engine
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as another, pytest.raises(OSError):
            another.bind(("127.0.0.1", port.number))
        port.release()


def test_bots_of_one_difficulty_are_described_in_the_engines_format(tmp_path):
    names = write_bots(tmp_path / "bots.cfg", difficulty=30, count=2)
    text = (tmp_path / "bots.cfg").read_text()
    assert list(names) == ["Bot0", "Bot1"]
    assert text.count("aiming 30") == text.count("reaction 30") == 2
    assert text.count("{") == text.count("}") == 2
