import pytest

from sf_core.plugins.versions import satisfies


@pytest.mark.parametrize(
    ("version", "demand", "met"),
    [
        ("0.4.1", ">=0.5", False),
        ("0.10", ">=0.9", True),  # numbers, not texts
        ("0.5", ">=0.5.0", True),
        ("0.5", ">=0.5,<0.6", True),
        ("0.6", ">=0.5,<0.6", False),
        ("1.4.2", "~=1.4", True),
        ("2.0", "~=1.4", False),
        ("1.3", "~=1.4", False),
        ("1.4.5", "==1.4.*", True),
        ("1.5", "!=1.4.*", True),
        ("1.4", "!=1.4", False),
        ("0.5.0rc1", ">=0.5", True),
        ("0.1", "", True),
        ("0.1", "@ file:///somewhere", True),  # not understood: no hint is better than a wrong one
    ],
)
def test_demands(version, demand, met):
    assert satisfies(version, demand) is met
