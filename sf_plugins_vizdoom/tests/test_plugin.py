from __future__ import annotations

import pickle
import subprocess
import sys

from sf_plugins_vizdoom.tasks import SAMPLE_FACTORY_TASKS, TASKS

from sf_plugins_vizdoom import plugin


def specs():
    return {spec.name: spec for spec in plugin.sf_environments()}


def test_doom_basic_has_sample_factorys_defaults():
    spec = specs()["doom_basic"]
    assert dict(spec.defaults) == {
        "ppo_clip_value": 0.2,
        "obs_subtract_mean": 0.0,
        "obs_scale": 255.0,
        "exploration_loss": "symmetric_kl",
        "exploration_loss_coeff": 0.001,
        "normalize_returns": True,
        "normalize_input": True,
        "env_frameskip": 4,
        "heartbeat_reporting_interval": 600,
    }
    assert {arg.flag: arg.default for arg in spec.args} == {
        "--res_w": 128,
        "--res_h": 72,
        "--wide_aspect_ratio": False,
        "--doom_resolution": None,
        "--timelimit": None,
        "--record_to": None,
        "--doom_scenarios_dir": None,
    }


def test_all_environments_of_sample_factory_and_the_others_of_vizdoom_are_offered():
    offered = specs()
    assert set(TASKS) | {"doom:"} == set(offered)
    assert len(SAMPLE_FACTORY_TASKS) == 20
    assert offered["doom_battle"].defaults["encoder"] == "doom_measurements"
    assert "encoder" not in offered["doom_basic"].defaults
    assert {spec.defaults["exploration_loss"] for spec in offered.values()} == {"symmetric_kl"}  # real numbers or not
    assert {arg.flag for arg in offered["doom_duel"].args} > {"--num_agents", "--num_bots", "--bot_difficulty"}
    assert {metric.name for metric in offered["doom_duel"].metrics} >= {"kdr", "final_place", "leader_gap"}


def test_a_missing_map_is_shown_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SF_DOOM_SCENARIOS", raising=False)
    spec = specs()["doom_battle"]
    assert (spec.missing, spec.fix) == ("battle.wad", "python -m sf_plugins_vizdoom.scenarios fetch")
    assert specs()["doom_basic"].missing == ""
    (tmp_path / "battle.wad").write_bytes(b"")
    monkeypatch.setenv("SF_DOOM_SCENARIOS", str(tmp_path))
    assert specs()["doom_battle"].missing == ""


def test_defaults_are_options_of_the_core():
    from sf_core.cfg.options import core_options

    options = core_options()
    for name in {name for spec in plugin.sf_environments() for name in spec.defaults}:
        assert name in options
        assert options[name].automatic == "", f"{name} does nothing"


def test_specs_are_data_that_other_processes_can_receive():
    offered = list(plugin.sf_environments())
    assert pickle.loads(pickle.dumps(offered)) == offered


def test_the_plugin_module_imports_no_simulator():
    heavy = ["numpy", "torch", "gymnasium", "vizdoom", "cv2", "pygame", "pluggy"]
    script = (
        "import sys; import sf_plugins_vizdoom.plugin as p; list(p.sf_environments());"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # pluggy marks the hooks; everything heavier stays out
    assert eval(result.stdout) in ([], ["pluggy"])


def test_a_run_says_which_engine_and_scenario_it_uses():
    from sf_core.plugins.plan import EnvPlan

    class Plan:
        env = EnvPlan(
            name="doom_basic",
            plugin="vizdoom",
            factory="sf_plugins_vizdoom.env:make_doom_env",
            params={"task": "doom_basic"},
        )

    (line,) = plugin.sf_report_header({}, Plan())
    assert line.startswith("vizdoom 1.")
    assert line.endswith("scenarios/basic.wad")
    Plan.env = EnvPlan(name="maze", plugin="another", factory="another.envs:make", params={"task": "theirs"})
    assert list(plugin.sf_report_header({}, Plan())) == []
