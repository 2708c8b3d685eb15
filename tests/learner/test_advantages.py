import pytest
import torch

from sf_core.learner.advantages import gae

GAMMA, LAM = 0.9, 0.8


def columns(T, **given):
    """One agent: false and zero unless said otherwise. Rows that hold nothing meaningful are 99."""
    made = {
        "terminated": torch.zeros(T, 1, dtype=torch.bool),
        "truncated": torch.zeros(T, 1, dtype=torch.bool),
        "valid": torch.ones(T, 1, dtype=torch.bool),
        "episode_start": torch.zeros(T + 1, 1, dtype=torch.bool),
        "final_value": torch.full((T, 1), 99.0),
    }
    return {**made, **{name: torch.tensor(values)[:, None] for name, values in given.items()}}


def advantage(reward, value, **given):
    result = gae(
        torch.tensor(reward)[:, None],
        torch.tensor(value)[:, None],
        **columns(len(reward), **given),
        gamma=GAMMA,
        lam=LAM,
    )
    return result[:, 0].tolist()


def test_gae_on_pieces_with_the_gaps_taken_out(sequences):
    """Oracle: cut each agent's valid rows into plain sequences and sum γλ-discounted errors forwards."""
    expected = torch.zeros_like(sequences.reward)
    for b in range(sequences.B):
        for rows, last_value in sequences.pieces(b):
            v = [float(sequences.value[t, b]) for t in rows] + [last_value]
            delta = [float(sequences.reward[t, b]) + GAMMA * v[i + 1] - v[i] for i, t in enumerate(rows)]
            for i, t in enumerate(rows):
                expected[t, b] = sum((GAMMA * LAM) ** k * d for k, d in enumerate(delta[i:]))
    got = gae(sequences.reward, sequences.value, *sequences.columns(), gamma=GAMMA, lam=LAM)
    torch.testing.assert_close(got, expected)


def test_a_rollout_without_ends_by_hand():
    # δ_1 = 2 + .9*4 - 3 = 2.6;  δ_0 = 1 + .9*3 - 2 = 1.7;  A_0 = 1.7 + .72*2.6 = 3.572
    assert advantage([1.0, 2.0], [2.0, 3.0, 4.0]) == pytest.approx([3.572, 2.6])


def test_terminated_cuts_with_value_zero_and_wins_over_truncated():
    for truncated in (False, True):
        # δ_0 = 1 + .9*0 - 2 = -1
        got = advantage([1.0, 2.0], [2.0, 3.0, 4.0], terminated=[True, False], truncated=[truncated, False])
        assert got == pytest.approx([-1.0, 2.6])


def test_truncated_and_reset_in_the_same_step_bootstraps_from_the_final_value():
    # δ_0 = 1 + .9*10 - 2 = 8
    got = advantage(
        [1.0, 2.0],
        [2.0, 3.0, 4.0],
        truncated=[True, False],
        episode_start=[False, True, False],
        final_value=[10.0, 99.0],
    )
    assert got == pytest.approx([8.0, 2.6])


def test_truncated_and_reset_in_the_next_step_bootstraps_from_the_value_of_the_row_that_resets():
    # Row 1 only resets; its observation is the final one: δ_0 = 1 + .9*3 - 2 = 1.7. Row 2 alone: 2 + .9*5 - 4 = 2.5
    got = advantage(
        [1.0, 99.0, 2.0],
        [2.0, 3.0, 4.0, 5.0],
        truncated=[True, False, False],
        valid=[True, False, True],
        episode_start=[False, False, True, False],
    )
    assert got == pytest.approx([1.7, 0.0, 2.5])


def test_truncated_in_the_last_row_uses_the_bootstrap_row_or_the_final_value():
    # next step: 1 + .9*3 - 2 = 1.7, row T being the final observation; same step: 1 + .9*10 - 2 = 8
    assert advantage([1.0], [2.0, 3.0], truncated=[True]) == pytest.approx([1.7])
    assert advantage(
        [1.0], [2.0, 3.0], truncated=[True], episode_start=[False, True], final_value=[10.0]
    ) == pytest.approx([8.0])


def test_rows_of_an_inactive_agent_are_skipped_over():
    # Without row 1: δ_2 = 2 + .9*5 - 4 = 2.5; δ_0 = 1 + .9*4 - 2 = 2.6; A_0 = 2.6 + .72*2.5 = 4.4
    got = advantage([1.0, 99.0, 2.0], [2.0, 77.0, 4.0, 5.0], valid=[True, False, True])
    assert got == pytest.approx([4.4, 0.0, 2.5])


def test_an_episode_that_ends_while_its_agent_is_inactive_does_not_leak_into_the_next():
    # The end is on row 1, which is skipped; row 0 is then the last of its episode: 1 + .9*0 - 2 = -1
    got = advantage(
        [1.0, 99.0, 2.0],
        [2.0, 77.0, 4.0, 5.0],
        valid=[True, False, True],
        terminated=[False, True, False],
        episode_start=[False, False, True, False],
    )
    assert got == pytest.approx([-1.0, 0.0, 2.5])


def test_an_episode_start_after_an_unmarked_gap_cuts_with_the_value_of_the_gap():
    # δ_0 = 1 + .9*3 - 2 = 1.7, and nothing of row 2
    got = advantage(
        [1.0, 99.0, 2.0], [2.0, 3.0, 4.0, 5.0], valid=[True, False, True], episode_start=[False, False, True, False]
    )
    assert got == pytest.approx([1.7, 0.0, 2.5])


def test_what_is_not_a_number_does_not_pass_a_cut():
    # Row 1 belongs to the next episode: row 0 is -1 as in the test of terminated ends.
    got = advantage([1.0, float("nan")], [2.0, 3.0, 4.0], terminated=[True, False])
    assert got[0] == pytest.approx(-1.0)
    assert got[1] != got[1]


def test_garbage_in_rows_that_are_not_valid_goes_nowhere(sequences):
    reward = sequences.reward.masked_fill(~sequences.valid, float("nan"))
    clean = gae(sequences.reward, sequences.value, *sequences.columns(), gamma=GAMMA, lam=LAM)
    dirty = gae(reward, sequences.value, *sequences.columns(), gamma=GAMMA, lam=LAM)
    torch.testing.assert_close(dirty, clean, rtol=0, atol=0)
