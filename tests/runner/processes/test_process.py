"""What a process finds in its environment when its libraries load."""

import os

import pytest

from sf_core.runner.processes import process
from sf_core.runner.processes.process import Role, start_process
from sf_core.utils.errors import UsageError


@pytest.fixture
def environment_of_child(monkeypatch):
    """Starts a process that is none, and says what it would have found."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    seen = {}

    class Context:
        class Process:
            def __init__(self, **kwargs):
                pass

            def start(self):
                seen.update(os.environ)

    monkeypatch.setattr(process.multiprocessing, "get_context", lambda method: Context)

    def start(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        before = dict(os.environ)
        start_process(Role("sf-test", threads=3), print)
        assert dict(os.environ) == before
        return seen

    return start


def test_threads_are_counted_and_do_not_spin_for_long(environment_of_child):
    found = environment_of_child()
    assert found["OMP_NUM_THREADS"] == "3"
    assert int(found["GOMP_SPINCOUNT"]) < 100_000


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_what_the_user_says_about_waiting_is_left_alone(environment_of_child, name, value):
    found = environment_of_child(**{name: value})
    assert {key: found.get(key) for key in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} == {
        "GOMP_SPINCOUNT": None,
        "OMP_WAIT_POLICY": None,
        name: value,
    }


@pytest.mark.parametrize("method", ["fork", "thread"])
def test_a_process_is_never_forked_nor_started_in_a_way_that_does_not_exist(environment_of_child, method):
    with pytest.raises(UsageError, match=f"SF_START_METHOD={method} is neither spawn nor forkserver"):
        environment_of_child(SF_START_METHOD=method)
    assert environment_of_child(SF_START_METHOD="")  # as if it were not set
