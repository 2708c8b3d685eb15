"""The benchmarks are scripts beside the package, not part of it."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

if BENCHMARKS.exists():
    sys.path.insert(0, str(BENCHMARKS))
else:  # a source distribution comes without them
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def said():
    return []
