import pytest
import torch

from sf_core.learner.advantages import gae
from sf_core.learner.vtrace import vtrace

GAMMA = 0.9


def run(sequences, ratio, rho_bar=1.0, c_bar=1.0):
    return vtrace(
        sequences.reward, sequences.value, ratio, *sequences.columns(), gamma=GAMMA, rho_bar=rho_bar, c_bar=c_bar
    )


@pytest.mark.parametrize(("rho_bar", "c_bar"), [(1.0, 1.0), (1.3, 0.7)])
def test_vtrace_is_the_sum_of_equation_1(sequences, rho_bar, c_bar):
    """Oracle: vs_s = V_s + Σ_t γ^(t-s) (Π_{i=s}^{t-1} c_i) δ_t, summed forwards on the valid rows of each piece."""
    target, advantage = torch.zeros_like(sequences.reward), torch.zeros_like(sequences.reward)
    for b in range(sequences.B):
        for rows, last_value in sequences.pieces(b):
            v = [float(sequences.value[t, b]) for t in rows] + [last_value]
            reward = [float(sequences.reward[t, b]) for t in rows]
            ratio = [float(sequences.ratio[t, b]) for t in rows]
            delta = [min(rho_bar, ratio[i]) * (reward[i] + GAMMA * v[i + 1] - v[i]) for i in range(len(rows))]
            vs = []
            for s in range(len(rows)):
                weight, total = 1.0, v[s]
                for t in range(s, len(rows)):
                    total += weight * delta[t]
                    weight *= GAMMA * min(c_bar, ratio[t])
                vs.append(total)
            vs.append(last_value)
            for i, t in enumerate(rows):
                target[t, b] = vs[i]
                advantage[t, b] = reward[i] + GAMMA * vs[i + 1] - v[i]
    got = run(sequences, sequences.ratio, rho_bar, c_bar)
    torch.testing.assert_close(got.value_target, target)
    torch.testing.assert_close(got.advantage, advantage)


def test_on_policy_vtrace_is_gae_with_lambda_one(sequences):
    # With all ratios 1, vs is the discounted sum to the end, and so are both advantages.
    got = run(sequences, torch.ones_like(sequences.ratio))
    expected = gae(sequences.reward, sequences.value, *sequences.columns(), gamma=GAMMA, lam=1.0)
    torch.testing.assert_close(got.advantage, expected)
    torch.testing.assert_close(got.value_target, torch.where(sequences.valid, expected + sequences.value[:-1], 0.0))


def test_the_last_step_learns_from_the_real_bootstrap_value():
    # One step, not terminal: vs = V + ρ (r + γ V(s_1) - V) = 2 + 0.5 * (1 + 0.9*3 - 2) = 2.85; A = 1 + 0.9*3 - 2 = 1.7
    false = torch.zeros(1, 1, dtype=torch.bool)
    got = vtrace(
        torch.tensor([[1.0]]),
        torch.tensor([[2.0], [3.0]]),
        torch.tensor([[0.5]]),
        false,
        false,
        ~false,
        torch.zeros(2, 1, dtype=torch.bool),
        torch.zeros(1, 1),
        gamma=GAMMA,
        rho_bar=1.0,
        c_bar=1.0,
    )
    assert got.value_target.item() == pytest.approx(2.85)
    assert got.advantage.item() == pytest.approx(1.7)  # without ρ: the policy loss multiplies by the ratio itself
