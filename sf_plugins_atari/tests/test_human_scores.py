from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sf_plugins_atari.game_record import GameRecord
from sf_plugins_atari.games import ROMS
from sf_plugins_atari.human_scores import RANDOM_AND_HUMAN
from sf_plugins_atari.options import ARGS
from sf_plugins_atari.settings import AtariSettings


def test_the_57_games_and_no_others_have_scores():
    assert set(RANDOM_AND_HUMAN) == set(ROMS.values())


def test_the_page_shows_the_same_scores_and_every_flag():
    page = Path(__file__).parents[2] / "docs" / "atari.md"
    if not page.is_file():
        pytest.skip("the page is in the repository, not in the source distribution")
    text = page.read_text().replace("−", "-")
    for name, rom in ROMS.items():
        random, human = RANDOM_AND_HUMAN[rom]
        assert f"| `atari_{name}` | `{rom}` | {random} | {human} |" in text
    for arg in ARGS:
        assert f"| `{arg.flag}` |" in text, arg.flag


def test_the_human_beats_the_random_player_in_every_game():
    assert all(random < human for random, human in RANDOM_AND_HUMAN.values())


# As printed in Wang et al. 2016 and DQN Zoo; the rows cover signs, magnitudes, and the tables that differ.
@pytest.mark.parametrize(
    ("rom", "random", "human"),
    [
        ("breakout", 1.7, 30.5),
        ("double_dunk", -18.6, -16.4),
        ("montezuma_revenge", 0.0, 4753.3),
        ("ms_pacman", 307.3, 6951.6),
        ("pitfall", -229.4, 6463.7),
        ("pong", -20.7, 14.6),
        ("private_eye", 24.9, 69571.3),
        ("skiing", -17098.1, -4336.9),
        ("surround", -10.0, 6.5),
        ("video_pinball", 16256.9, 17667.9),
    ],
)
def test_scores_are_those_of_the_literature(rom, random, human):
    assert RANDOM_AND_HUMAN[rom] == (random, human)


def step(record, reward, lives=(3, 3), terminated=(False, False), truncated=(False, False)):
    return record.step(*(np.array(values) for values in (reward, lives, terminated, truncated)))


def test_the_points_of_a_whole_game_are_normalised_at_its_end_only():
    record = GameRecord(AtariSettings(rom="pong"), 2)
    record.start(np.array([3, 3]))
    assert "episode_extra_stats" not in step(record, [10, -1])
    stats = step(record, [5, -1], terminated=(False, True))["episode_extra_stats"]
    assert stats["_human_normalized_score"].tolist() == [False, True]
    assert stats["human_normalized_score"][1] == pytest.approx((-2 + 20.7) / 35.3)
    step(record, [0, 0])
    stats = step(record, [0, 7], truncated=(True, True))["episode_extra_stats"]
    # game 0 has 15 points; game 1 began anew
    assert stats["human_normalized_score"] == pytest.approx([(15 + 20.7) / 35.3, (7 + 20.7) / 35.3])


def test_a_reset_forgets_the_points_of_the_games_it_resets():
    record = GameRecord(AtariSettings(rom="pong"), 2)
    record.start(np.array([0, 0]))
    step(record, [5, 5])
    record.start(np.array([0, 0]), np.array([True, False]))
    stats = step(record, [0, 0], truncated=(True, True))["episode_extra_stats"]
    assert stats["human_normalized_score"] == pytest.approx([20.7 / 35.3, 25.7 / 35.3])


def test_a_game_without_a_human_reports_lives_only():
    record = GameRecord(AtariSettings(rom="tetris"), 2)
    record.start(np.array([3, 3]))
    infos = step(record, [1, 1], lives=(2, 0), truncated=(True, False))
    assert set(infos) == {"life_lost"}
    assert infos["life_lost"].tolist() == [True, False]  # no life left: the game is ending


def test_lives_are_nobodys_business_if_the_agent_shall_not_learn_from_them():
    record = GameRecord(AtariSettings(rom="breakout", episodic_life=False), 2)
    record.start(np.array([3, 3]))
    assert not step(record, [0, 0], lives=(2, 3))["life_lost"].any()
