"""Seconds per step add up; rates do not."""

import pytest
from sf_bench.limit import Parts, median_parts
from sf_bench.parts import PartRates


def test_the_limit_adds_seconds_per_step():
    # 1/1000 + 1/500 + 4/2000 = 0.005 s per step
    assert Parts(1000, 500, 2000, epochs=4).limit() == pytest.approx(200)


def test_with_an_accelerator_simulating_and_the_network_go_on_at_the_same_time():
    # the network: 1/500 + 4/2000 = 0.004 s per step
    assert Parts(1000, 500, 2000, epochs=4).limit_with_accelerator() == pytest.approx(250)
    assert Parts(100, 500, 2000, epochs=4).limit_with_accelerator() == pytest.approx(100)


def test_each_part_counts_in_its_best_arrangement_and_its_median_round():
    rates = PartRates(
        env={"2 copies": 10.0}, forward={"2 copies": 5.0, "1 copy": 7.0}, train={"2 copies": 3.0, "1 copy": 2.0}
    )
    assert rates.best(epochs=2) == Parts(10.0, 7.0, 3.0, 2)
    assert median_parts([Parts(1, 9, 5, 2), Parts(2, 8, 5, 2), Parts(9, 1, 4, 2)]) == Parts(2, 8, 5, 2)
