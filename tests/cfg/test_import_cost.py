"""What a command line costs before anything trains: no heavy import, and well under half a second."""

import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "gymnasium", "cv2", "ale_py", "vizdoom", "rich", "tensorboard")

PARSE = """
import sys
from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
argv = sys.argv[1:]
try:
    parser, cfg = parse_sf_args(argv)
    parse_full_cfg(parser, argv)
finally:
    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def run(*argv):
    """The finished process, and the seconds of CPU time it took: unlike the clock they do not count other programs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", PARSE.format(heavy=HEAVY), *argv], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("argv", [["--help"], ["--env=CartPole-v1", "--help"], ["--env=CartPole-v1", "--gamma=2"]])
def test_parsing_imports_nothing_heavy(argv):
    done, _ = run(*argv)
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.returncode == (0 if "--help" in argv else 2)


def test_help_takes_less_than_four_tenths_of_a_second():
    # the best of five: a busy machine may delay any single one
    assert min(run("--help")[1] for _ in range(5)) <= 0.4
