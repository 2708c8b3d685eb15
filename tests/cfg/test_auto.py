import pytest

from sf_core.cfg import auto
from sf_core.cfg.arguments import default_cfg
from sf_core.cfg.auto import EnvCost, resolve_num_envs
from sf_core.utils.errors import UsageError


@pytest.fixture(autouse=True)
def _six_cores(monkeypatch):
    monkeypatch.setattr(auto, "available_cores", lambda: 6)


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


def test_slow_environments_get_as_few_as_keep_a_worker_busy():
    def envs_of(step_s, **changes):
        return resolve_num_envs(default_cfg(batch_size=4096, **changes), cost=EnvCost(step_s=step_s))

    # 4096 / 32 = 128 rollouts on 6 workers: 22 each fill a dataset
    assert envs_of(10e-6) == (6, 22)
    assert envs_of(1e-3) == (6, 20)  # two groups of 10 take 10 ms each
    assert envs_of(3e-3) == (6, 8)  # two groups of 4
    assert envs_of(0.2) == (6, 2)
    assert envs_of(0.2, worker_num_splits=1) == (6, 2)
    assert envs_of(0.2, num_workers=3) == (3, 2)
    assert envs_of(0.2, num_envs_per_worker=8) == (6, 8)  # what is given stays


def test_environments_take_at_most_half_of_the_memory_that_is_free():
    def numbers(free_mb, **changes):
        cost = EnvCost(env_bytes=90, rollout_bytes=10, free_bytes=free_mb)
        return resolve_num_envs(default_cfg(batch_size=1024, **changes), cost=cost)

    assert numbers(100 * 2 * 36) == (6, 6)
    assert numbers(100 * 2 * 26) == (6, 4)  # 26 fit: 4 for each of 6 workers
    assert numbers(100 * 2 * 7) == (3, 2)  # 7 fit: fewer workers, of the least that split in two
    assert numbers(100 * 2 * 7, num_workers=6) == (6, 2)  # workers that were asked for stay
    assert numbers(1) == (1, 2)
    assert resolve_num_envs(default_cfg(batch_size=1024), cost=EnvCost(env_bytes=90)) == (6, 6)


def test_a_cost_changes_nothing_where_numbers_follow_from_the_configuration():
    cost = EnvCost(step_s=1.0, env_bytes=2**40, rollout_bytes=2**40, free_bytes=1)
    for changes in ({"serial_mode": True}, {"async_rl": False}):
        assert resolve_num_envs(default_cfg(**changes), cost=cost) == resolve_num_envs(default_cfg(**changes))
