"""Import paths that scripts written for Sample Factory use, with the package's name changed."""

import argparse
from importlib import import_module

import pytest

OLD_PATHS = {
    "sf_core.algo.utils.context": ["global_model_factory"],
    "sf_core.algo.utils.misc": ["ExperimentStatus"],
    "sf_core.algo.utils.spaces.discretized": ["Discretized"],
    "sf_core.algo.utils.torch_utils": ["calc_num_elements"],
    "sf_core.cfg.arguments": ["parse_sf_args", "parse_full_cfg", "default_cfg", "checkpoint_override_defaults"],
    "sf_core.enjoy": ["enjoy"],
    "sf_core.envs.create_env": ["create_env"],
    "sf_core.envs.env_utils": [
        "register_env",
        "is_multiagent_env",
        "RewardShapingInterface",
        "TrainingInfoInterface",
    ],
    "sf_core.envs.env_wrappers": [
        "ResizeWrapper",
        "RewardScalingWrapper",
        "TimeLimitWrapper",
        "PixelFormatChwWrapper",
        "RecordingWrapper",
        "NoopResetEnv",
        "FireResetEnv",
        "EpisodicLifeEnv",
        "MaxAndSkipEnv",
        "ClipRewardEnv",
        "NumpyObsWrapper",
        "EpisodeCounterWrapper",
    ],
    "sf_core.eval": ["do_eval"],
    "sf_core.model.actor_critic": ["ActorCritic"],
    "sf_core.model.core": ["ModelCore"],
    "sf_core.model.decoder": ["Decoder"],
    "sf_core.model.encoder": ["Encoder", "make_img_encoder"],
    "sf_core.model.model_utils": ["nonlinearity", "create_mlp", "model_device"],
    "sf_core.train": ["run_rl", "make_runner"],
    "sf_core.utils.attr_dict": ["AttrDict"],
    "sf_core.utils.typing": ["Config", "ObsSpace", "ActionSpace", "Env", "PolicyID"],
    "sf_core.utils.utils": ["log", "str2bool", "is_module_available", "experiment_dir"],
}


@pytest.mark.parametrize("module", OLD_PATHS)
def test_old_paths_resolve(module):
    if "torch" in module or ".model." in module:
        pytest.importorskip("torch")
    for name in OLD_PATHS[module]:
        assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("name", ["register_core_factory", "register_model_core_factory"])
def test_a_core_is_registered_under_both_names(name):
    script = import_module("sf_core.plugins.script")
    factory = import_module("sf_core.algo.utils.context").global_model_factory()
    script.forget_registrations()
    try:
        getattr(factory, name)(argparse.Namespace)  # a class of some module, as good as any
        assert script.script_components() == {"core": "script/Namespace"}
    finally:
        script.forget_registrations()


def test_str2bool_reads_the_words_true_and_false_only():
    str2bool = import_module("sf_core.utils.utils").str2bool
    parser = argparse.ArgumentParser()
    parser.add_argument("--flag", type=str2bool)
    assert parser.parse_args(["--flag=true"]).flag is True
    assert parser.parse_args(["--flag=False"]).flag is False
    with pytest.raises(ValueError, match="neither"):
        str2bool("1")


def test_is_module_available_imports_nothing():
    available = import_module("sf_core.utils.utils").is_module_available
    assert available("json.decoder")
    assert not available("no_such_package_anywhere")


def test_experiment_dir_is_made_where_the_run_is(tmp_path):
    module = import_module("sf_core.utils.utils")
    cfg = import_module("sf_core.utils.attr_dict").AttrDict(train_dir=str(tmp_path), experiment="exp")
    assert module.experiment_dir(cfg, mkdir=False) == str(tmp_path / "exp")
    assert not (tmp_path / "exp").exists()
    module.experiment_dir(cfg)
    assert (tmp_path / "exp").is_dir()
