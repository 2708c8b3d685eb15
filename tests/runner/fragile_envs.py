"""Envs that fail on purpose, or tell what their process sees."""

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

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


def in_a_worker():
    return "sf-rollout" in Path("/proc/self/cmdline").read_text()


class Simulated(CountingEnv):
    """Its simulator is a program of its own, which does not end by itself."""

    def __init__(self, env_id):
        super().__init__(env_id)
        if in_a_worker():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "simulator"])


class Crashing(CountingEnv):
    """Reads address zero at its 300th step, in worker 1 and the first time only."""

    steps = 0

    def step(self, action):
        self.steps += 1
        marker = Path(os.environ.get("CRASHED", "/"))
        if self.env_id == 4 and self.steps == 300 and in_a_worker() and not marker.exists():
            marker.touch()
            ctypes.string_at(0)
        return super().step(action)


class Hanging(CountingEnv):
    """Never returns from its 300th step."""

    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps == 300 and in_a_worker():
            Path(os.environ["HANGING"]).touch()
            time.sleep(600)
        return super().step(action)


def make_simulated(full_env_name, cfg, env_config, render_mode=None):
    return Simulated(env_config.env_id)


def make_crashing(full_env_name, cfg, env_config, render_mode=None):
    return Crashing(env_config.env_id)


def make_hanging(full_env_name, cfg, env_config, render_mode=None):
    return Hanging(env_config.env_id)


class Telling(CountingEnv):
    """At its first step in a rollout worker it writes down when that was, and which GPUs it sees."""

    def __init__(self, env_config, folder):
        super().__init__(env_config.env_id)
        self._file = Path(folder) / f"worker_{env_config.worker_index}.json"

    def step(self, action):
        if not self._file.exists() and "sf-rollout" in open("/proc/self/cmdline").read():  # noqa: SIM115
            self._file.write_text(json.dumps([time.time(), os.environ.get("CUDA_VISIBLE_DEVICES")]))
        return super().step(action)


def make_telling(full_env_name, cfg, env_config, render_mode=None):
    return Telling(env_config, cfg.train_dir)


def make_fragile(full_env_name, cfg, env_config, render_mode=None):
    return Fragile(env_config.env_id)


def make_broken(full_env_name, cfg, env_config, render_mode=None):
    return Broken(env_config.env_id)
