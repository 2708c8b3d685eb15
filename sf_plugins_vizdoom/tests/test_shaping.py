from __future__ import annotations

import pytest
from sf_plugins_vizdoom.measurements import measurements_of
from sf_plugins_vizdoom.shaping import SCHEMES, DeltaShaping, GatheringShaping, objective, standings


@pytest.fixture
def bots():
    shaping = DeltaShaping(SCHEMES["bots"])
    shaping.reset({"HEALTH": 100.0})
    shaping.reward({"HEALTH": 100.0})
    return shaping


def test_the_first_step_of_an_episode_earns_nothing(bots):
    bots.reset({"HEALTH": 100.0, "DEATHCOUNT": 0.0})
    assert bots.reward({"HEALTH": 100.0, "DEATHCOUNT": 1.0}) == 0.0  # crushed by a bot that has joined
    assert bots.reward({"HEALTH": 100.0, "DEATHCOUNT": 2.0}) == pytest.approx(-0.75)


def test_changes_earn_their_weights(bots):
    assert bots.reward({"HEALTH": 90.0, "FRAGCOUNT": 1.0}) == pytest.approx(-0.03 + 1.0)  # 10 * -0.003, one frag
    assert bots.reward({"HEALTH": 95.0, "FRAGCOUNT": 0.0}) == pytest.approx(0.025 - 1.5)  # 5 * 0.005, a suicide
    assert bots.reward({"HEALTH": 95.0, "FRAGCOUNT": 0.0, "DEATHCOUNT": 1.0}) == pytest.approx(-0.75)


def test_one_step_cannot_bring_more_than_is_plausible(bots):
    # damage counts up to 200 (* 0.003), hits up to 5 (* 0.01)
    assert bots.reward({"HEALTH": 100.0, "DAMAGECOUNT": 900.0, "HITCOUNT": 50.0}) == pytest.approx(0.6 + 0.05)


def test_fresh_health_after_a_death_earns_nothing(bots):
    bots.reward({"HEALTH": 0.0, "DEAD": 1.0})
    assert bots.reward({"HEALTH": 100.0, "DEAD": 0.0, "AMMO2": 50.0}) == 0.0
    assert bots.reward({"HEALTH": 101.0, "DEAD": 0.0, "AMMO2": 50.0}) == pytest.approx(0.005)


def test_who_dies_and_comes_back_within_a_step_pays_for_the_death_and_gains_nothing(bots):
    bots.reward({"HEALTH": 30.0, "DEATHCOUNT": 0.0, "DEAD": 0.0, "WEAPON3": 1.0, "AMMO3": 20.0})
    fresh = {"HEALTH": 100.0, "DEATHCOUNT": 1.0, "DEAD": 0.0, "WEAPON3": 0.0, "AMMO2": 50.0}
    assert bots.reward({**fresh, "FRAGCOUNT": 1.0}) == pytest.approx(-0.75 + 1.0)  # a frag at the same time counts
    assert bots.reward({**fresh, "FRAGCOUNT": 1.0, "HEALTH": 99.0}) == pytest.approx(-0.003)


def test_a_frag_in_the_step_of_the_respawn_counts(bots):
    bots.reward({"HEALTH": 0.0, "DEAD": 1.0, "FRAGCOUNT": 0.0})
    assert bots.reward({"HEALTH": 100.0, "DEAD": 0.0, "FRAGCOUNT": 1.0}) == pytest.approx(1.0)


@pytest.mark.parametrize(("weapon", "bonus"), [(2.0, 0.0002), (4.0, 0.001), (7.0, 0.002)])
def test_each_weapon_has_its_own_bonus_once_it_is_held_for_a_while(bots, weapon, bonus):
    held = {"HEALTH": 100.0, "SELECTED_WEAPON": weapon, "SELECTED_WEAPON_AMMO": 10.0}
    assert [bots.reward(held) for _ in range(7)] == pytest.approx([0, 0, 0, 0, bonus, bonus, bonus])
    assert bots.reward({**held, "SELECTED_WEAPON_AMMO": 0.0}) == 0.0


def test_changing_the_weights_of_one_shaping_changes_no_other(bots):
    bots.scheme["delta"]["FRAGCOUNT"] = (7.0, 0.0)
    assert SCHEMES["bots"]["delta"]["FRAGCOUNT"] == (1.0, -1.5)


def test_gathering_earns_one_for_each_rise_of_health():
    shaping = GatheringShaping()
    shaping.reset({"HEALTH": 100.0})
    assert [shaping.reward({"HEALTH": health}) for health in (92.0, 100.0, 100.0, 84.0)] == [0.0, 1.0, 0.0, 0.0]


def test_standings_of_the_leader_and_of_the_last():
    table = {"PLAYER_COUNT": 3.0, "PLAYER1_FRAGCOUNT": 4.0, "PLAYER2_FRAGCOUNT": 1.0, "PLAYER3_FRAGCOUNT": 2.0}
    leader = standings({**table, "PLAYER_NUMBER": 0.0, "FRAGCOUNT": 4.0, "DEATHCOUNT": 1.0})
    assert leader == {"frags": 4.0, "deaths": 1.0, "kdr": 2.0, "final_place": 1.0, "leader_gap": -2.0}
    last = standings({**table, "PLAYER_NUMBER": 1.0, "FRAGCOUNT": 1.0, "DEATHCOUNT": 0.0})
    assert (last["final_place"], last["leader_gap"]) == (3.0, 3.0)
    assert standings({"HEALTH": 3.0}) == {}


def test_objectives():
    assert objective("win", 0.0, {"leader_gap": -1.0}) == 1.0
    assert objective("win", 0.0, {"leader_gap": 0.0}) == 0.0  # a draw is no win
    assert objective("frags", 9.0, {"frags": 3.0}) == 3.0
    assert objective("return", 9.0, {}) == 9.0
    assert objective("", 9.0, {}) is None


def test_measurements_are_sample_factorys_23_numbers():
    numbers = measurements_of(
        {"SELECTED_WEAPON": 3.0, "SELECTED_WEAPON_AMMO": 30.0, "HEALTH": 90.0, "USER2": 5.0, "AMMO7": 600.0}
    )
    assert numbers.shape == (23,)
    # weapon, ammunition / 15, health / 30, armour, kills / 10, ready, players / 5 (one, where nobody counts)
    assert numbers[:7].tolist() == pytest.approx([3.0, 2.0, 3.0, 0.0, 0.5, 0.0, 0.2])
    assert measurements_of({"SELECTED_WEAPON": -1.0, "SELECTED_WEAPON_AMMO": -1.0, "WEAPON2": -1.0})[:2].tolist() == [
        0,
        0,
    ]
    assert numbers[22] == 5.0  # ammunition counts up to 75
