"""Where processes that use torch begin: the import is theirs, so the runner can name the function without it."""

from __future__ import annotations

from multiprocessing.connection import Connection

from sf_core.plugins.plan import ModelPlan, RunPlan
from sf_core.rollout.shared_memory import SharedFile
from sf_core.runner.processes.process import Role


def learner_entry(role: Role, plan: RunPlan, memory: SharedFile, control: Connection) -> None:
    """Become the learner."""
    from sf_core.runner.processes.learner_process import LearnerTask, learner_main

    learner_main(role, LearnerTask(plan, memory, control))


def inference_entry(
    role: Role, model: ModelPlan, index: int, vitals_row: int, memory: SharedFile, control: Connection
) -> None:
    """Become an inference process."""
    from sf_core.runner.processes.inference_process import InferenceTask, inference_main

    inference_main(role, InferenceTask(model, index, vitals_row, memory, control))
