from __future__ import annotations

import pickle
import subprocess
import sys

from sf_plugins_vizdoom import plugin


def test_doom_basic_has_sample_factorys_defaults():
    (spec,) = plugin.sf_environments()
    assert spec.name == "doom_basic"
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
    }


def test_defaults_are_options_of_the_core():
    from sf_core.cfg.options import core_options

    options = core_options()
    (spec,) = plugin.sf_environments()
    for name in spec.defaults:
        assert name in options
        assert options[name].automatic == "", f"{name} does nothing"


def test_specs_are_data_that_other_processes_can_receive():
    (spec,) = plugin.sf_environments()
    assert pickle.loads(pickle.dumps(spec)) == spec


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
        env = EnvPlan(name="doom_basic", plugin="vizdoom", factory="a:b", params={"scenario": "basic.cfg"})

    (line,) = plugin.sf_report_header({}, Plan())
    assert line.startswith("vizdoom 1.")
    assert line.endswith("scenario basic.cfg")
