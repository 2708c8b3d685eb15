"""Counts finished batches of episodes."""

from sf_core import TrainingObserver


class EpisodeCounter(TrainingObserver):
    def __init__(self, cfg):
        self.batches = 0

    def on_episodes(self, run, policy_id, stats):
        self.batches += 1

    def summaries(self, run, policy_id, env_steps):
        return {"grid/batches": float(self.batches)}
