from torch import nn

from sf_core.runner.threads import ThreadBudget, thread_budget


def test_small_matrices_get_one_thread_and_large_ones_more():
    network = nn.Sequential(nn.Linear(512, 512, bias=False), nn.Linear(512, 512, bias=False))  # 524,288 weights
    # acting: 20 x 0.52M = 10M products, not worth a second thread; learning: 1024 x 0.52M = 537M, worth five
    assert thread_budget(network, 8, acting_rows=20, minibatch_rows=1024) == ThreadBudget(inference=1, learner=5)
    assert thread_budget(network, 2, acting_rows=20, minibatch_rows=1024) == ThreadBudget(inference=1, learner=2)


def test_convolutions_use_every_thread():
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten())
    assert thread_budget(network, 4, acting_rows=8, minibatch_rows=256) == ThreadBudget(4, 4)
