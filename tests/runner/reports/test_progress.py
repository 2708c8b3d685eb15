"""What a continued run has counted."""

from types import SimpleNamespace

from sf_core.runner.reports.progress import Progress


def test_what_another_engine_counted_is_not_forgotten():
    learner = SimpleNamespace(env_steps=0, agent_steps=0, policy_version=0)
    before = {"samples_trained": 5, "late_rewards": 2, "worker_restarts": 3}
    progress = Progress(learner, window=1, frame_skip=1, counters_before=before)
    counted = progress.counted({"late_rewards": 1, "skipped_updates": 4})
    assert {name: counted[name] for name in (*before, "skipped_updates")} == {
        "samples_trained": 5,
        "late_rewards": 3,
        "worker_restarts": 3,
        "skipped_updates": 4,
    }
