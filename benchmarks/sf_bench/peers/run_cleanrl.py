"""One run of CleanRL's own `ppo_atari.py`, unchanged, with a look from outside that writes progress.

    CLEANRL_ENVIRONMENT/bin/python run_cleanrl.py --threads=1 --num-envs=8 [flags of the script]

The script is written for a gym whose environments reset to an observation alone and know one kind of end, and which no
longer installs; it gets Gymnasium's under that name, with a vector environment that answers in the old way. That is all
that separates it from CleanRL's later versions, which do the same with Gymnasium. The network and the wrappers are its
own, and its games run in its own process, one after another.
"""

import argparse
import runpy
import sys
from importlib.util import find_spec

import gymnasium
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.tensorboard import SummaryWriter

from sf_bench.progress import ProgressLog

_END_OF_ITERATION = "charts/SPS"  # what the script reports last


class ClassicVectorEnv(gymnasium.vector.SyncVectorEnv):
    """Gymnasium's, as gym 0.23 answered."""

    def reset(self, **kwargs):
        return super().reset(**kwargs)[0]

    def step(self, actions):
        observations, rewards, terminated, truncated, infos = super().step(actions)
        ended = [info for info in infos.get("final_info", ()) if info is not None]
        return observations, rewards, terminated | truncated, ended


class EnoughError(Exception):
    """Everything is measured."""


class Onlooker:
    """Counts what the script does; ends it when there is enough."""

    def __init__(self):
        self.progress = ProgressLog.from_environment()
        self.gradient_steps = self.agent_steps = self.parameters = 0

    def see_gradient_step(self, optimizer, *_):
        self.gradient_steps += 1
        self.parameters = sum(weights.numel() for group in optimizer.param_groups for weights in group["params"])

    def see_scalar(self, tag, step):
        if tag != _END_OF_ITERATION:
            return
        self.agent_steps = step
        if self.progress.iteration(step):
            raise EnoughError


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    args, flags = parser.parse_known_args()
    torch.set_num_threads(args.threads)
    onlooker = Onlooker()
    register_optimizer_step_post_hook(onlooker.see_gradient_step)
    add_scalar = SummaryWriter.add_scalar

    def add_and_see(self, tag, value, step):
        add_scalar(self, tag, value, step)
        onlooker.see_scalar(tag, step)

    SummaryWriter.add_scalar = add_and_see
    gymnasium.vector.SyncVectorEnv = ClassicVectorEnv
    sys.modules["gym"] = gymnasium
    script = find_spec("cleanrl").submodule_search_locations[0] + "/ppo_atari.py"
    sys.argv = [script, *flags]
    try:
        runpy.run_path(script, run_name="__main__")
    except EnoughError:
        onlooker.progress.facts(
            parameters=onlooker.parameters,
            gradient_steps=onlooker.gradient_steps,
            agent_steps=onlooker.agent_steps,
        )


if __name__ == "__main__":
    main()
