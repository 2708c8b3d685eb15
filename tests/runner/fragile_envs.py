"""Envs that fail on purpose."""

import os

from sf_core.testing.fakes import CountingEnv


class Fragile(CountingEnv):
    """Env 1 raises at its 50th step, whenever it was made anew."""

    def __init__(self, env_id):
        super().__init__(env_id)
        self._steps = 0

    def step(self, action):
        self._steps += 1
        if self.env_id == 1 and self._steps == 50:
            raise RuntimeError("the maze collapsed")
        return super().step(action)


class Broken(CountingEnv):
    """Dies at the first step in a rollout worker, but not in the probe."""

    def step(self, action):
        if "sf-rollout" in open("/proc/self/cmdline").read():  # noqa: SIM115
            os.kill(os.getpid(), 11)
        return super().step(action)


def make_fragile(full_env_name, cfg, env_config, render_mode=None):
    return Fragile(env_config.env_id)


def make_broken(full_env_name, cfg, env_config, render_mode=None):
    return Broken(env_config.env_id)
