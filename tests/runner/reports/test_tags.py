"""What `docs/watching.md` says is written is what runs write: no tag is missing, and none goes without a word."""

import importlib.util
import json
import re
from pathlib import Path

import gymnasium
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sf_core import ExperimentStatus
from sf_core.envs.env_utils import register_env
from sf_core.plugins.script import forget_registrations
from sf_core.runner.reports import gauges

_spec = importlib.util.spec_from_file_location("parallel_runs", Path(__file__).parents[1] / "parallel_runs.py")
runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runs)

PAGE = (Path(__file__).parents[3] / "docs" / "watching.md").read_text("utf-8")
SUMMARIES = "--experiment_summaries_interval=1"


def documented(heading):
    """Tags in the first column of the table under `heading`."""
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {tag for row in rows for tag in re.findall(r"`([^`]+)`", row)}


ALWAYS, SOMETIMES = documented("In every run"), documented("In some runs")


def pattern(tag):
    return re.compile(re.sub(r"<\w+>", r"[\\w]+", tag.replace("/", r"\/")))


def written(tmp_path):
    events = EventAccumulator(str(tmp_path / "exp" / ".summary" / "0"), size_guidance={"scalars": 0})
    events.Reload()
    return {*events.Tags()["scalars"], *events.Tags()["histograms"]}, events


def assert_as_documented(tags, *also):
    assert ALWAYS - tags == set()
    assert set(also) - tags == set()
    undocumented = {tag for tag in tags - ALWAYS if not any(pattern(known).fullmatch(tag) for known in SOMETIMES)}
    assert undocumented == set()


class Talkative(gymnasium.Wrapper):
    """CartPole that reports about its episodes in every way there is."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info["episode_extra_stats"] = {"kills": 3, "maze/solved": 0.5}
            info["true_objective"] = 7.0
        return observation, reward, terminated, truncated, info


def make_talkative(full_env_name, cfg, env_config, render_mode=None):
    return Talkative(gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1")))


@pytest.fixture
def talkative():
    register_env("talkative", make_talkative)
    yield
    forget_registrations()


def test_a_serial_run_writes_every_tag_of_the_page(tmp_path, talkative):
    flags = (
        "--env=talkative",
        "--serial_mode=True",
        "--normalize_returns=True",
        "--train_for_env_steps=1024",
        SUMMARIES,
    )
    assert runs.runner_of(tmp_path, *flags).run() is ExperimentStatus.SUCCESS
    tags, events = written(tmp_path)
    assert_as_documented(
        tags,
        "policy_stats/avg_kills",
        "maze/solved",
        "policy_stats/avg_RecordEpisodeStatistics_reward",
        "policy_stats/avg_RecordEpisodeStatistics_len",
        "train/obs_running_mean",
        "train/obs_running_std",
        "train/returns_running_mean",
        "train/returns_running_std",
        "time/other",
    )

    def last(tag):
        return events.Scalars(tag)[-1].value

    assert last("policy_stats/avg_kills") == 3.0
    assert last("maze/solved") == 0.5
    assert last("policy_stats/avg_true_objective") == last("policy_stats/avg_true_objective_max") == 7.0
    assert last("policy_stats/avg_RecordEpisodeStatistics_reward") == pytest.approx(last("reward/reward"))
    assert last("policy_stats/avg_RecordEpisodeStatistics_len") == pytest.approx(last("len/len"))
    assert events.Scalars("reward/reward")[-1].step == 1024
    line = json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["kills"] == 3.0
    assert line["master_process_memory_mb"] > 0
    assert line["obs_running_std"] > 0


def test_a_parallel_run_writes_every_tag_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(gauges, "_PACE_OVER_S", 0.0)
    flags = ("--train_for_env_steps=1024", SUMMARIES)
    assert runs.runner_of(tmp_path, *flags).run() is ExperimentStatus.SUCCESS
    tags, events = written(tmp_path)
    parallel = {
        tag for tag in SOMETIMES if re.match(r"stats/(memory|avg_request|step_|wait_|env_|worker_|sam|slots|gr)", tag)
    }
    assert len(parallel) == 14
    assert_as_documented(tags, *parallel)
    assert events.Scalars("stats/avg_request_count")[-1].value >= 1
    # a worker imports no torch
    memory = {who: events.Scalars(f"stats/memory_{who}")[-1].value for who in ("learner", "rollout_worker")}
    assert 0 < memory["rollout_worker"] < memory["learner"]
    # without an objective of the env's own, it is the return
    assert events.Scalars("policy_stats/avg_true_objective")[-1].value == events.Scalars("reward/reward")[-1].value
