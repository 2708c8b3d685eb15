import pytest

from sf_core.cfg import auto
from sf_core.cfg.arguments import default_cfg
from sf_core.cfg.auto import resolve_num_envs
from sf_core.utils.errors import UsageError


@pytest.fixture(autouse=True)
def _six_cores(monkeypatch):
    monkeypatch.setattr(auto, "_usable_cores", lambda: 6)


def test_serial_environments_fill_exactly_one_dataset():
    # 1024 * 2 transitions / rollout 32 = 64 rollouts
    assert resolve_num_envs(default_cfg(serial_mode=True, batch_size=1024, num_batches_per_epoch=2)) == (1, 64)
    assert resolve_num_envs(default_cfg(serial_mode=True, batch_size=1024, num_batches_per_epoch=2), 4) == (1, 16)


def test_agents_that_do_not_divide_the_dataset_give_the_nearest_number_below():
    assert resolve_num_envs(default_cfg(serial_mode=True, batch_size=1024), 5) == (1, 6)  # 32 rollouts, 5 agents
    assert resolve_num_envs(default_cfg(serial_mode=True, batch_size=1024), 50) == (1, 1)


def test_synchronous_workers_share_environments_evenly():
    # 32 environments on at most 6 cores: 4 workers of 8, which split into 2 groups
    assert resolve_num_envs(default_cfg(async_rl=False, batch_size=1024)) == (4, 8)
    # 6 environments, split in 2: 3 workers of 2; unsplit: 6 workers of 1
    assert resolve_num_envs(default_cfg(async_rl=False, batch_size=192)) == (3, 2)
    assert resolve_num_envs(default_cfg(async_rl=False, batch_size=192, worker_num_splits=1)) == (6, 1)


def test_the_other_number_is_derived_when_one_is_given():
    assert resolve_num_envs(default_cfg(serial_mode=True, num_workers=8)) == (8, 4)
    assert resolve_num_envs(default_cfg(serial_mode=True, num_envs_per_worker=4)) == (8, 4)


def test_given_numbers_stay():
    assert resolve_num_envs(default_cfg(async_rl=False, num_workers=4, num_envs_per_worker=2)) == (4, 2)


def test_a_given_number_that_cannot_fit_is_refused_with_one_that_does():
    with pytest.raises(UsageError, match=r"num_workers=5 does not divide the 32 environments.*try --num_workers=4"):
        resolve_num_envs(default_cfg(serial_mode=True, num_workers=5))
    with pytest.raises(UsageError, match=r"num_envs_per_worker=64 is more than the 32.*try --num_envs_per_worker=32"):
        resolve_num_envs(default_cfg(serial_mode=True, num_envs_per_worker=64))


def test_asynchronous_runs_use_every_core_and_fill_a_dataset_at_least():
    # 1024 / 32 = 32 rollouts on 6 workers: 5.3 each, rounded up to groups of equal size
    assert resolve_num_envs(default_cfg(batch_size=1024)) == (6, 6)
    assert resolve_num_envs(default_cfg(batch_size=1024, worker_num_splits=4)) == (6, 8)
    assert resolve_num_envs(default_cfg(batch_size=1024), 4) == (6, 2)  # 8 environments of 4 agents
    assert resolve_num_envs(default_cfg(batch_size=1024, num_workers=3)) == (3, 12)
    assert resolve_num_envs(default_cfg(num_workers=3, num_envs_per_worker=8)) == (3, 8)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"num_workers": 20, "num_envs_per_worker": 20}, (1, 32)),  # 400 do not fit into 32 rollouts
        ({"num_workers": 10, "num_envs_per_worker": 2}, (1, 16)),  # 20 do not divide 32
        ({"num_workers": 8, "num_envs_per_worker": 2}, (8, 2)),
        ({"num_workers": 20}, (1, 32)),
        ({"num_workers": 8}, (8, 4)),
        ({}, (1, 32)),
    ],
)
def test_a_command_line_for_an_asynchronous_run_still_works_serially(asked, expected):
    assert resolve_num_envs(default_cfg(**asked).replace("engine", serial_mode=True)) == expected
