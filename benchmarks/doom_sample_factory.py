"""Sample Factory's own Doom training; notes (env steps, seconds, mean return) as it goes.

SF_ENVIRONMENT/bin/python doom_sample_factory.py OUTPUT.jsonl --env=doom_basic [flags of Sample Factory]
"""

import json
import sys
import time

import numpy as np
from sample_factory.algo.runners.runner import AlgoObserver
from sample_factory.algo.utils.misc import ExperimentStatus
from sample_factory.train import make_runner
from sf_examples.vizdoom import train_vizdoom

EVERY_STEPS = 8_000


class WriteCurve(AlgoObserver):
    """A line every so many env steps."""

    def __init__(self, path):
        self.file = open(path, "w")  # noqa: SIM115  as long as the run
        self.start = time.time()
        self.last = 0

    def on_training_step(self, runner, training_iteration_since_resume):
        rewards = runner.policy_avg_stats.get("reward")
        steps = sum(runner.env_steps.values())
        if rewards and len(rewards[0]) and steps - self.last >= EVERY_STEPS:
            self.last = steps
            self.file.write(json.dumps([steps, time.time() - self.start, float(np.mean(rewards[0]))]) + "\n")
            self.file.flush()


def main():
    output = sys.argv.pop(1)
    train_vizdoom.register_vizdoom_components()
    _, runner = make_runner(train_vizdoom.parse_vizdoom_cfg())
    runner.register_observer(WriteCurve(output))
    status = runner.init()
    if status == ExperimentStatus.SUCCESS:
        status = runner.run()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
