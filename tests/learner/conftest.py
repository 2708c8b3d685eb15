import numpy as np
import pytest


class Sequences:
    """Random time-major columns [T, B] of a batch, with every kind of boundary, as float64 tensors."""

    def __init__(self, seed, T=12, B=40):
        import torch

        rng = np.random.default_rng(seed)
        tensor = torch.from_numpy
        self.T, self.B = T, B
        self.reward = tensor(rng.normal(size=(T, B)))
        self.value = tensor(rng.normal(size=(T + 1, B)))
        self.final_value = tensor(rng.normal(size=(T, B)))
        self.ratio = tensor(np.exp(rng.normal(size=(T, B))))
        terminated = np.zeros((T, B), bool)
        truncated = np.zeros((T, B), bool)
        valid = np.ones((T, B), bool)
        episode_start = np.zeros((T + 1, B), bool)
        for b in range(B):
            for t in range(T):
                if valid[t, b] and rng.random() < 0.25:
                    terminated[t, b] = rng.random() < 0.5
                    truncated[t, b] = not terminated[t, b] or rng.random() < 0.2
                    if rng.random() < 0.5:  # resets in the same step
                        episode_start[t + 1, b] = True
                    elif t + 1 < T:  # resets in the next step: one row that only resets
                        valid[t + 1, b] = False
                        if t + 2 <= T:
                            episode_start[t + 2, b] = True
                elif not terminated[t - 1, b] and not truncated[t - 1, b] and rng.random() < 0.15:
                    valid[t, b] = False  # an agent that was inactive for a step
        self.terminated, self.truncated = tensor(terminated), tensor(truncated)
        self.valid, self.episode_start = tensor(valid), tensor(episode_start)

    def columns(self):
        return (self.terminated, self.truncated, self.valid, self.episode_start, self.final_value)

    def pieces(self, b):
        """The valid rows of agent b as plain sequences: (rows, value after the last row)."""
        piece = []
        for t in range(self.T):
            if not self.valid[t, b]:
                continue
            piece.append(t)
            if self.terminated[t, b]:
                yield piece, 0.0
                piece = []
            elif self.truncated[t, b]:
                yield piece, float((self.final_value[t] if self.episode_start[t + 1, b] else self.value[t + 1])[b])
                piece = []
        if piece:
            yield piece, float(self.value[self.T, b])


@pytest.fixture(params=range(3))
def sequences(request):
    return Sequences(request.param)
