import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gymnasium import spaces

from sf_core.envs.adapters.multi_agent import MultiAgentEnvs
from sf_core.envs.env_info import EnvInfo, ProbeError, env_info_of, probe_env
from sf_core.plugins.plan import EnvPlan
from sf_core.testing.fakes import CountingEnv, CountingMultiAgentEnv
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

CFG = AttrDict(env_frameskip=4)
THIS = f"file:{Path(__file__).resolve()}"


def plan_of(name, **kwargs):
    return EnvPlan(
        name="maze", plugin="test", factory=f"{THIS}:{name}", distribution="sf-test", version="1.2", **kwargs
    )


def make_titled(full_env_name, cfg, env_config):
    from setproctitle import getproctitle

    title = getproctitle()
    env = CountingEnv(dict_observation=True)
    # the only way out of the probe is EnvInfo: smuggle what the test wants to know into the action space
    env.action_space = spaces.Tuple((spaces.Discrete(2 + (title == "sf-probe")), spaces.Discrete(os.getpid())))
    assert "torch" not in sys.modules
    return env


def make_failing(full_env_name, cfg, env_config):
    raise RuntimeError("level 7 is\nmissing")


def make_failing_step(full_env_name, cfg, env_config):
    env = CountingEnv()

    def step(action):
        raise ZeroDivisionError("in the physics")

    env.step = step
    return env


def make_wrong(full_env_name, cfg, env_config):
    env = CountingEnv()
    env.observation_space = spaces.Box(0, 1, (4,))
    return env


def make_without_reset(full_env_name, cfg, env_config):
    class NeverResets:
        num_agents, observation_space, action_space = 2, spaces.Box(0, 99, (1,)), spaces.Discrete(2)

        def reset(self, seed=None):
            self.steps = 0
            return [[0.0], [0.0]], [{}, {}]

        def step(self, actions):
            self.steps += 1
            done = self.steps >= 5
            return [[1.0], [1.0]], [0.0, 0.0], [done, done], [False, False], [{}, {}]

        def close(self):
            pass

    return NeverResets()


def make_dying(full_env_name, cfg, env_config):
    os.kill(os.getpid(), signal.SIGKILL)


def make_exiting(full_env_name, cfg, env_config):
    os._exit(7)


def test_the_probe_looks_in_a_process_of_its_own_named_so_and_reports_flat_spaces():
    info = probe_env(plan_of("make_titled"), CFG)
    assert sorted(info.observation_space.spaces) == ["count", "phase"]
    assert info.action_space[0].n == 3, "its title was not sf-probe"
    assert info.action_space[1].n != os.getpid()
    assert (info.num_agents, info.frame_skip) == (1, 4)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("make_failing", r"env 'maze' \(plugin test, sf-test 1.2\) failed: RuntimeError: level 7 is missing"),
        (
            "make_failing_step",
            r"env 'maze' \(plugin test, sf-test 1.2\) failed in its first steps: ZeroDivisionError: in the physics",
        ),
        ("make_wrong", r"env 'maze': .*shape \(3,\) where .* says \(4,\)"),
        ("make_without_reset", "env 'maze' says in every step that agent 0 is done; a multi-agent env must reset"),
        ("make_dying", r"env 'maze' \(plugin test, sf-test 1.2\): the process that made it was killed by SIGKILL"),
        ("make_exiting", "env 'maze' .*: the process that made it ended with exit code 7 and no report"),
        ("make_nothing", "has no 'make_nothing'"),
    ],
)
def test_whatever_goes_wrong_comes_back_as_a_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence) as raised:
        probe_env(plan_of(name), CFG)
    if name == "make_failing_step":
        assert isinstance(raised.value.__cause__, ProbeError)
        assert "in step\n" in str(raised.value.__cause__)  # the traceback of the probe, for -v


def test_a_plan_that_cannot_be_sent_is_probed_here():
    plan = EnvPlan(name="maze", plugin="script", factory=lambda name, cfg, env_config: CountingEnv())
    assert probe_env(plan, CFG).num_agents == 1
    plan = EnvPlan(name="maze", plugin="script", factory=lambda name, cfg, env_config: 1 / 0)
    with pytest.raises(UsageError, match=r"env 'maze' .*ZeroDivisionError"):
        probe_env(plan, CFG)


class Sleepy(CountingEnv):
    def step(self, action):
        assert action in range(3)
        time.sleep(0.02)
        return super().step(action)


def test_the_probe_measures_how_long_a_step_takes_if_it_is_asked_to():
    begin_s = time.monotonic()
    info = probe_env(EnvPlan(name="maze", plugin="script", factory=lambda *args: Sleepy()), CFG, measure_s=0.1)
    assert 0.02 <= info.step_s < 0.2
    assert time.monotonic() - begin_s < 2
    assert info.env_bytes >= 0
    assert probe_env(EnvPlan(name="maze", plugin="script", factory=lambda *args: Sleepy()), CFG).step_s == 0


@pytest.mark.parametrize(
    ("bounds", "drawn"), [((15, 30), (15, 15)), ((-9, -3), (-3, -3)), ((0.5, 8), (0.5, 1)), ((-1e38, 1e38), (-1, 1))]
)
def test_steps_are_measured_with_numbers_that_the_action_space_has(bounds, drawn):
    taken = []

    class Heater(CountingEnv):
        def step(self, action):
            taken.append(float(action[0]))
            return super().step(0)

    def make(*args):
        env = Heater()
        env.action_space = spaces.Box(*bounds, (1,))
        return env

    assert probe_env(EnvPlan(name="heater", plugin="script", factory=make), CFG, measure_s=0.02).step_s > 0
    assert drawn[0] <= min(taken[1:]) <= max(taken[1:]) <= drawn[1]  # the first one is the action zero, or the nearest


def test_existing_envs_are_described_alike():
    vector = MultiAgentEnvs([CountingMultiAgentEnv(3) for _ in range(2)])
    assert env_info_of(vector, 2) == EnvInfo(vector.observation_space, vector.action_space, 3, 2)


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from sf_core.envs.env_info import probe_env\n"
        "from sf_core.plugins.plan import EnvPlan\n"
        "from sf_core.utils.errors import UsageError\n"
        "plan = EnvPlan(name='maze', plugin='core', factory='sf_core.testing.fakes:make_counting_env')\n"
        "try:\n    print(probe_env(plan, {}))\nexcept UsageError as error:\n    print('SENTENCE', error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=60)
    assert 'a script needs `if __name__ == "__main__":`' in done.stdout
    assert done.stdout.count("SENTENCE") == 1
