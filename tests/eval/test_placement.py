"""Where environments live without a word from the user, and with one."""

import pytest

from sf_core import parse_sf_args
from sf_core.cfg.config import Config
from sf_core.eval import placement
from sf_core.eval.placement import Placement, place_envs
from sf_core.plugins.manager import build_plan, get_manager


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(placement, "available_cores", lambda: 8)


def placed(monkeypatch, *flags, episodes=100, step_s=0.0, saved=None):
    """Where 100 episodes are played when a step of one env takes `step_s`."""
    info = type("Info", (), {"step_s": step_s})
    monkeypatch.setattr(placement, "look_at_env", lambda *args, **options: info)
    _, cfg = parse_sf_args(["--env=CartPole-v1", *flags])
    if saved:
        cfg = Config({**cfg, **saved}, {**cfg.origins, **dict.fromkeys(saved, "saved")})
    return place_envs(cfg, build_plan(cfg, get_manager()), episodes)


@pytest.mark.parametrize(
    ("flags", "episodes", "step_s", "expected"),
    [
        ((), 100, 1e-6, Placement(0, 16)),  # fast: this process
        ((), 100, 1e-2, Placement(8, 2)),  # slow: a worker for each core
        ((), 12, 1e-2, Placement(6, 2)),  # as many envs as this process would have
        ((), 3, 1e-2, Placement(3, 1)),  # never more envs than episodes
        ((), 3, 1e-6, Placement(0, 3)),
        (("--serial_mode=True",), 100, 1e-2, Placement(0, 16)),
        (("--serial_mode=True", "--num_workers=2", "--num_envs_per_worker=3"), 100, 1e-2, Placement(0, 6)),
        (("--num_workers=4",), 100, 1e-6, Placement(4, 4)),
        (("--num_workers=4", "--num_envs_per_worker=10"), 20, 1e-6, Placement(4, 5)),
        (("--num_envs_per_worker=5",), 100, 1e-2, Placement(8, 5)),
        (("--num_envs_per_worker=5",), 100, 1e-6, Placement(0, 5)),
        (("--serial_mode=False",), 100, 1e-6, Placement(8, 2)),
    ],
)
def test_the_user_decides_or_the_speed_of_the_env(monkeypatch, flags, episodes, step_s, expected):
    assert placed(monkeypatch, *flags, episodes=episodes, step_s=step_s) == expected


def test_what_the_run_was_trained_with_does_not_count(monkeypatch):
    saved = {"num_workers": 64, "num_envs_per_worker": 64}
    assert placed(monkeypatch, step_s=1e-6, saved=saved) == Placement(0, 16)
