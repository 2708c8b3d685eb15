from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from sf_plugins_atari.games import ROMS, rom_of
from sf_plugins_atari.options import ARGS, PRESETS
from sf_plugins_atari.settings import emulator_threads

from sf_core.plugins.specs import EnvSpec
from sf_plugins_atari import plugin


def specs() -> dict[str, EnvSpec]:
    return {spec.name: spec for spec in plugin.sf_environments()}


def test_the_57_games_have_sample_factorys_names():
    names = [name for name in specs() if name.startswith("atari_")]
    assert all(rom_of(name) in ROMS.values() for name in names)
    assert len(names) == len(set(names)) == 57
    # the spellings of Sample Factory that follow no rule
    assert {"atari_asteroid", "atari_kongfumaster", "atari_montezuma", "atari_privateye"} <= set(names)


@pytest.mark.parametrize("rom", sorted(ROMS.values()))
def test_every_game_has_a_rom(rom):
    from ale_py import roms

    assert roms.get_rom_path(rom) is not None


def test_every_rom_is_named_once():
    assert len(set(ROMS.values())) == 57


def test_montezuma_is_cut_after_18000_frames_and_the_others_after_108000():
    limits = {name: spec.defaults.get("atari_max_frames") for name, spec in specs().items()}
    assert limits.pop("atari_montezuma") == 18_000
    assert set(limits.values()) == {None}
    assert {arg.name: arg.default for arg in ARGS}["atari_max_frames"] == 108_000


def test_defaults_are_sample_factorys():
    defaults = specs()["atari_pong"].defaults
    expected = {  # features table of Sample Factory's atari_params.py
        "encoder_conv_architecture": "convnet_atari", "obs_scale": 255.0, "gamma": 0.99, "env_frameskip": 4,
        "env_framestack": 4, "exploration_loss": "entropy", "exploration_loss_coeff": 0.01, "worker_num_splits": 1,
        "train_for_env_steps": 10_000_000, "nonlinearity": "relu", "kl_loss_coeff": 0.0, "use_rnn": False,
        "adaptive_stddev": False, "reward_scale": 1.0, "with_vtrace": False, "recurrence": 1, "batch_size": 256,
        "rollout": 128, "max_grad_norm": 0.5, "num_epochs": 4, "num_batches_per_epoch": 4, "ppo_clip_ratio": 0.1,
        "value_loss_coeff": 0.5, "learning_rate": 2.5e-4, "lr_schedule": "linear_decay", "shuffle_minibatches": False,
        "gae_lambda": 0.95, "normalize_input": True, "normalize_returns": True, "async_rl": False,
        "experiment_summaries_interval": 3, "adam_eps": 1e-5, "summaries_use_frameskip": True,
    }  # fmt: skip
    assert {key: defaults[key] for key in expected} == expected
    # clipped by the core, so that the reported score is that of the game
    assert defaults["reward_clip"] == 1.0


def test_one_iteration_is_what_all_games_collect_in_one_rollout():
    defaults = specs()["atari_pong"].defaults
    games = defaults["num_workers"] * defaults["num_envs_per_worker"]
    assert games == 8
    assert games * defaults["rollout"] == defaults["batch_size"] * defaults["num_batches_per_epoch"]


def test_defaults_and_presets_are_options_of_the_core_or_flags_of_the_games():
    from sf_core.cfg.options import core_options

    options = core_options()
    own = {arg.name for arg in ARGS}
    for defaults in [*(spec.defaults for spec in specs().values()), *(preset.values for preset in PRESETS)]:
        for name, value in defaults.items():
            assert name in options or name in own, name
            if name in own:
                continue
            assert options[name].automatic == "", f"{name} does nothing"
            assert options[name].unavailable == "" or value == options[name].default, name


def test_specs_are_data_that_other_processes_can_receive():
    for spec in specs().values():
        assert pickle.loads(pickle.dumps(spec)) == spec


def test_the_plugin_module_imports_no_simulator():
    heavy = ["numpy", "torch", "gymnasium", "ale_py", "cv2", "pluggy"]
    script = (
        "import sys; import sf_plugins_atari.plugin as p; list(p.sf_environments());"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # pluggy marks the hooks; everything heavier stays out
    assert eval(result.stdout) in ([], ["pluggy"])


@pytest.mark.parametrize(
    ("cfg", "num_envs", "expected"),
    [
        ({"atari_threads": 3, "serial_mode": True}, 8, 3),
        ({"atari_threads": 3, "serial_mode": False, "num_workers": 4}, 2, 2),  # never more than games
        ({"atari_threads": 0, "serial_mode": True, "torch_threads": 5}, 8, 5),
        ({"serial_mode": True, "torch_threads": 0}, 99, 16),
        ({"serial_mode": False, "num_workers": 4, "torch_threads": 0}, 8, 4),  # a quarter of 16 cores
        ({"serial_mode": False, "num_workers": 40}, 8, 1),
        ({"serial_mode": False, "num_workers": "auto"}, 8, 1),
    ],
)
def test_emulator_threads_share_the_cores_with_the_rest_of_the_run(monkeypatch, cfg, num_envs, expected):
    monkeypatch.setattr("sf_plugins_atari.settings._usable_cores", lambda: 16)
    assert emulator_threads(cfg, num_envs) == expected


def header(name, **values):
    from sf_core.plugins.plan import EnvPlan

    class Plan:
        env = EnvPlan(name=name, plugin="atari", factory=specs()["atari_pong"].factory)

    (line,) = plugin.sf_report_header({arg.name: arg.default for arg in ARGS} | values, Plan())
    return line


def test_a_run_of_another_plugins_env_is_not_described():
    from sf_core.plugins.plan import EnvPlan

    class Plan:
        env = EnvPlan(name="CartPole-v1", plugin="core", factory="sf_core.envs.gymnasium_envs:make_gymnasium_env")

    assert list(plugin.sf_report_header({}, Plan())) == []


def test_a_run_says_which_emulator_rom_and_randomness_it_uses():
    line = header("atari_mspacman")
    assert line.startswith("ale-py 0.")
    assert line.endswith("ROM ms_pacman, sticky actions 0, up to 29 frames of waiting at the start of a game")
    sticky = header("atari:tetris", atari_sticky_actions=0.25, atari_noop_max=0)
    assert sticky.endswith("ROM tetris, sticky actions 0.25, no waiting at the start of a game")
    assert header("atari_pong", atari_backend="envpool").startswith("envpool ")
    assert "ROM" not in header("ALE/Pong-v5")


def test_the_presets_set_the_same_things_and_one_of_them_is_what_happens_anyway():
    dqn, machado = PRESETS
    assert dqn.values.keys() == machado.values.keys()
    defaults = {arg.name: arg.default for arg in ARGS} | dict(specs()["atari_pong"].defaults)
    assert dqn.values == {name: defaults[name] for name in dqn.values}
    different = {name for name in dqn.values if dqn.values[name] != machado.values[name]}
    assert different == {
        "atari_sticky_actions", "atari_full_action_set", "atari_episodic_life", "atari_fire_reset", "atari_noop_max",
        "env_frameskip", "atari_max_frames",
    }  # fmt: skip


def test_the_protocol_of_machado_is_that_of_the_paper():
    values = PRESETS[1].values
    assert (values["atari_sticky_actions"], values["atari_full_action_set"]) == (0.25, True)
    assert (values["atari_episodic_life"], values["atari_noop_max"], values["atari_fire_reset"]) == (False, 0, False)
    assert (values["env_frameskip"], values["atari_max_frames"]) == (5, 5 * 60 * 60)  # five minutes at 60 Hz
