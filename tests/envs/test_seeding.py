import pytest

from sf_core.envs.seeding import SeedSource, env_seed, env_seeds


def test_an_env_gets_the_same_seed_whichever_group_it_is_made_in():
    assert env_seeds(5, 6)[2:5] == env_seeds(5, 3, first_env_id=2)


def test_runs_with_different_seeds_share_no_env_seed():
    # 20 runs of 256 envs: seed + env_id would give neighbouring runs all but one seed in common
    seeds = [env_seed(seed, env_id) for seed in range(20) for env_id in range(256)]
    assert len(set(seeds)) == len(seeds)


def test_seeds_fit_a_signed_32_bit_integer():
    assert all(0 <= seed < 2**31 for seed in env_seeds(2**40, 1000))


def test_the_seed_a_vector_was_built_with_is_given_once():
    source = SeedSource(2, 3, first_env_id=4)
    assert source.seeds_for(None) == list(env_seeds(3, 2, 4))
    assert source.seeds_for(None) is None
    assert source.seeds_for(8) == list(env_seeds(8, 2, 4))
    assert source.seeds_for([1, 2]) == [1, 2]
    assert source.seeds_for(None) is None


def test_a_seed_given_at_the_first_reset_replaces_it():
    source = SeedSource(2, 3, first_env_id=0)
    assert source.seeds_for(9) == list(env_seeds(9, 2))
    assert source.seeds_for(None) is None


def test_the_number_of_seeds_must_fit():
    with pytest.raises(ValueError, match="3 seeds for 2 envs"):
        SeedSource(2, None, 0).seeds_for([1, 2, 3])
