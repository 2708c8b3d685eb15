"""`--reward_shaping`: from the command line to the env that has weights to change."""

import json

import pytest

from sf_core import ExperimentStatus, parse_full_cfg, parse_sf_args, register_env, run_rl
from sf_core.envs.env_utils import RewardShapingInterface
from sf_core.envs.reward_shaping import change_reward_shaping, with_changes
from sf_core.testing.fakes import CountingEnv, Script
from sf_core.train import make_runner
from sf_core.utils.errors import UsageError

DEFAULT = {"goal": 1.0, "delta": {"health": (0.5, -0.5), "ammo": (1, 0)}}


def test_weights_are_changed_by_name_and_the_others_stay():
    changed = with_changes(DEFAULT, {"delta": {"health": [2, -1]}, "goal": 3})
    assert changed == {"goal": 3, "delta": {"health": (2, -1), "ammo": (1, 0)}}
    assert DEFAULT["delta"]["health"] == (0.5, -0.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gaol": 1.0}, "there is no 'gaol'; there are goal, delta"),
        ({"delta": {"armour": 1.0}}, "there is no 'delta.armour'; there are health, ammo"),
        ({"delta": 1.0}, "another form"),
        ({"goal": "much"}, "another form"),
        ({"goal": True}, "another form"),
        ({"delta": {"health": [1.0]}}, "delta.health is"),
        ({"delta": {"health": [1.0, "x"]}}, r"delta.health\[1\] is"),
    ],
)
def test_weights_that_the_env_does_not_have_are_refused(changes, sentence):
    with pytest.raises(UsageError, match=sentence):
        with_changes(DEFAULT, changes)


class Shaped(CountingEnv, RewardShapingInterface):
    """Pays `goal` for every step."""

    def __init__(self, env_id=0):
        super().__init__(env_id, Script(lengths=(4,)))
        self.weights = DEFAULT
        self.asked = 0

    def get_default_reward_shaping(self):
        self.asked += 1
        return self.weights

    def set_reward_shaping(self, reward_shaping, agent_index):
        assert agent_index == slice(None)
        self.weights = reward_shaping

    def step(self, action):
        observation, _, *others = super().step(action)
        return observation, self.weights["goal"], *others


def test_the_weights_of_the_env_inside_of_a_wrapper_are_read_once_and_set():
    env = Shaped()
    change_reward_shaping("maze", type("Wrapper", (), {"env": env})(), {"goal": 2.0})
    assert env.weights == {**DEFAULT, "goal": 2.0}
    assert env.asked == 1


def test_an_env_without_weights_is_refused():
    with pytest.raises(UsageError, match="env 'maze' has no weights to change"):
        change_reward_shaping("maze", CountingEnv(0), {"goal": 2.0})


def make_shaped(full_env_name, cfg, env_config, render_mode=None):
    return Shaped(env_config.env_id)


def configured(tmp_path, *flags):
    register_env("shaped_env", make_shaped)
    argv = [
        "--env=shaped_env",
        "--serial_mode=True",
        "--num_workers=1",
        "--num_envs_per_worker=2",
        "--rollout=8",
        "--batch_size=16",
        "--train_for_env_steps=32",
        "--use_rnn=False",
        "--encoder_mlp_layers=4",
        "--device=cpu",
        "--torch_threads=1",
        f"--train_dir={tmp_path}",
        *flags,
    ]
    parser, _ = parse_sf_args(argv)
    return parse_full_cfg(parser, argv)


def test_a_run_trains_with_the_weights_it_was_given_and_a_continuation_knows_them(tmp_path):
    cfg = configured(tmp_path, '--reward_shaping={"goal": 2.5}')
    assert run_rl(cfg) is ExperimentStatus.SUCCESS
    result = json.loads((tmp_path / cfg.experiment / "result.json").read_text())
    assert result["reward_mean"] == pytest.approx(4 * 2.5)
    again = configured(tmp_path, "--train_for_env_steps=64")
    assert again.reward_shaping == {"goal": 2.5}
    assert again.origin("reward_shaping") == "saved"
    assert run_rl(again) is ExperimentStatus.SUCCESS


def test_a_run_with_weights_that_the_env_does_not_have_writes_nothing(tmp_path, capsys):
    with pytest.raises(UsageError, match="there is no 'gaol'"):
        make_runner(configured(tmp_path, '--reward_shaping={"gaol": 2.5}'))
    with pytest.raises(SystemExit, match="2"):
        configured(tmp_path, "--reward_shaping=2")
    assert "--reward_shaping=2 is not a JSON object" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
