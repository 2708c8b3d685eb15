"""The processes of a parallel run: who they are, and what is left when one of them breaks."""

import importlib.util
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("parallel_runs", HERE / "parallel_runs.py")
runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runs)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")

OFTEN = ("--experiment_summaries_interval=1",)


def last_metrics(tmp_path):
    return json.loads((tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()[-1])


def test_roles_torch_line_recovery_and_interruption(tmp_path):
    """One run, since starting one takes seconds: titles, no torch in workers, kill -9 of a worker, Ctrl+C."""
    with runs.Command(tmp_path, *OFTEN, "--policy_workers_per_policy=2", "--default_niceness=1") as command:
        found = command.until_it_trains()
        assert {"sf-rollout 0", "sf-rollout 1", "sf-inference 0.0", "sf-inference 0.1", "sf-learner 0"} <= set(found)
        mapped = {title: Path(f"/proc/{pid}/maps").read_text() for title, pid in found.items()}
        assert "libtorch" in mapped["sf-learner 0"]  # or the next line could not fail
        for title in ("sf-rollout 0", "sf-rollout 1"):
            assert "libtorch" not in mapped[title]
        assert "libtorch" not in Path(f"/proc/{command.process.pid}/maps").read_text()  # nor the runner

        os.kill(found["sf-rollout 1"], signal.SIGKILL)
        command.until(
            lambda: command.titles().get("sf-rollout 1", 0) not in (0, found["sf-rollout 1"]), "no new worker"
        )
        command.until(lambda: last_metrics(tmp_path)["worker_restarts"] == 1, "no restart was counted")
        before = last_metrics(tmp_path)["env_steps"]
        command.until(lambda: last_metrics(tmp_path)["env_steps"] > before, "training did not go on")

        begin = time.monotonic()
        os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does: to everybody
        code, alive = command.wait()
        assert time.monotonic() - begin < 10
        assert (code, alive) == (130, [])
    assert "sf-rollout 1 was killed by SIGKILL" in (tmp_path / "exp" / "sf_log.txt").read_text()
    result = runs.result_of(tmp_path)
    assert result["status"] == "interrupted"
    checkpoint = tmp_path / "exp" / "checkpoint_p0" / result["checkpoint"]
    assert json.loads((checkpoint / "checkpoint.json").read_text())["env_steps"] == result["env_steps"]


def test_a_worker_that_does_not_move_is_ended_and_started_again(tmp_path):
    with runs.Command(tmp_path, *OFTEN, "--heartbeat_reporting_interval=8") as command:
        found = command.until_it_trains()
        os.kill(found["sf-rollout 0"], signal.SIGSTOP)
        command.until(lambda: last_metrics(tmp_path)["worker_restarts"] == 1, "nobody noticed")
        before = last_metrics(tmp_path)["episodes"]
        command.until(lambda: last_metrics(tmp_path)["episodes"] > before, "training did not go on")
        command.process.send_signal(signal.SIGINT)
        assert command.wait() == (130, [])
    assert "sf-rollout 0 was silent for" in (tmp_path / "exp" / "sf_log.txt").read_text()


@pytest.mark.parametrize("victim", ["sf-learner 0", "sf-inference 0.0"])
def test_death_of_learner_or_inference_ends_the_run_and_keeps_its_checkpoints(tmp_path, victim):
    with runs.Command(tmp_path, *OFTEN, "--save_every_sec=1") as command:
        found = command.until_it_trains()
        checkpoints = tmp_path / "exp" / "checkpoint_p0"
        command.until(lambda: checkpoints.exists() and list(checkpoints.glob("checkpoint_*")), "no checkpoint")
        os.kill(found[victim], signal.SIGKILL)
        assert command.wait() == (1, [])
    result = runs.result_of(tmp_path)
    assert result["status"] == "failure"
    assert result["reason"].startswith(f"EngineError: {victim} was killed by SIGKILL")
    assert (checkpoints / result["checkpoint"] / "model.safetensors").exists()


def test_sigterm_to_everybody_saves_and_ends_the_run(tmp_path):
    with runs.Command(tmp_path, *OFTEN) as command:
        command.until_it_trains()
        os.killpg(command.process.pid, signal.SIGTERM)
        assert command.wait() == (130, [])
    assert runs.result_of(tmp_path)["status"] == "interrupted"


def test_nothing_outlives_a_runner_that_is_killed(tmp_path):
    with runs.Command(tmp_path, "--env=py:fragile_envs:make_simulated", *OFTEN, path=str(HERE)) as command:
        found = command.until_it_trains()
        assert {"sf-watchdog", "sf-learner 0"} <= set(found)
        assert any("simulator" in title for title in found)  # what an env starts must not outlive the run either
        command.process.kill()
        code, alive = command.wait()
        assert (code, alive) == (-signal.SIGKILL, [])
    assert not list(Path("/dev/shm").glob("*sf_core*"))


def test_an_env_that_raises_is_built_anew_and_its_rollout_is_not_used(tmp_path):
    flags = ("--env=py:fragile_envs:make_fragile", "--train_for_env_steps=3000", *OFTEN)
    with runs.Command(tmp_path, *flags, path=str(HERE)) as command:
        assert command.wait(90) == (0, []), command.output.read_text()
    result = runs.result_of(tmp_path)
    assert result["env_restarts"] >= 2
    text = (tmp_path / "exp" / "sf_log.txt").read_text()
    assert re.search(
        r"Traceback.*RuntimeError: the maze collapsed\nenv 1, seed \d+, last action np.int64\([01]\)\n", text, re.S
    )


def test_a_segmentation_fault_is_named_and_survived(tmp_path, monkeypatch):
    monkeypatch.setenv("CRASHED", str(tmp_path / "crashed"))
    flags = ("--env=py:fragile_envs:make_crashing", *OFTEN)
    with runs.Command(tmp_path, *flags, path=str(HERE)) as command:
        command.until_it_trains()
        command.until(lambda: last_metrics(tmp_path)["worker_restarts"] == 1, "nobody noticed")
        before = last_metrics(tmp_path)["env_steps"]
        command.until(lambda: last_metrics(tmp_path)["env_steps"] > before, "training did not go on")
        command.process.send_signal(signal.SIGINT)
        assert command.wait() == (130, [])
    assert "sf-rollout 1 was killed by SIGSEGV; it is started again" in (tmp_path / "exp" / "sf_log.txt").read_text()
    assert "fragile_envs.py" in command.output.read_text()  # the stack dump


def test_a_second_interruption_ends_everything_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HANGING", str(tmp_path / "hanging"))
    with runs.Command(tmp_path, "--env=py:fragile_envs:make_hanging", *OFTEN, path=str(HERE)) as command:
        command.until_it_trains()
        command.until((tmp_path / "hanging").exists, "no env hangs")  # so that its worker does not end when asked to
        command.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert command.process.poll() is None
        begin = time.monotonic()
        command.process.send_signal(signal.SIGINT)
        code, alive = command.wait()
        assert time.monotonic() - begin < 3  # it waits 4 s for such a worker otherwise
        assert (code, alive) == (130, [])


def test_a_crash_at_start_up_ends_the_run_at_once_with_its_cause(tmp_path):
    with runs.Command(tmp_path, "--env=py:fragile_envs:make_broken", path=str(HERE)) as command:
        assert command.wait(60) == (1, [])
    assert re.search(
        r"sf-rollout \d was killed by SIGSEGV before its first rollout", runs.result_of(tmp_path)["reason"]
    )


def test_workers_are_spread_in_time_and_over_gpus(tmp_path):
    flags = ("--env=py:fragile_envs:make_telling", "--decorrelate_experience_max_seconds=6")
    flags += ("--decorrelate_envs_on_one_worker=False", "--actor_worker_gpus", "2", "0")
    files = [tmp_path / f"worker_{worker}.json" for worker in range(2)]
    with runs.Command(tmp_path, *flags, path=str(HERE)) as command:
        command.until(lambda: all(file.exists() and file.read_text() for file in files), "a worker never stepped")
    (first_s, first_gpu), (second_s, second_gpu) = (json.loads(file.read_text()) for file in files)
    assert second_s - first_s > 2.0  # worker 1 of 2 waits half of 6 seconds; both were started at the same time
    assert (first_gpu, second_gpu) == ("2", "0")
