import hashlib
import json
import sys
import types

import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium import spaces
from torch import nn

from sf_core.envs.spaces import space_to_json
from sf_core.model.checkpoint_files import find_checkpoints
from sf_core.model.encoder import Encoder
from sf_core.model.policy import Policy
from sf_core.plugins.script import forget_registrations, global_model_factory
from sf_core.utils.errors import UsageError

OBS = spaces.Dict({"obs": spaces.Box(-1, 1, (3,)), "image": spaces.Box(0, 255, (40, 40, 3), np.uint8)})
ACTIONS = spaces.Discrete(3)
COMPONENTS = {"actor_critic": "core/auto", "encoder": "core/auto", "core": "core/auto", "decoder": "core/auto"}


def write_checkpoint(folder, policy, cfg, **changes):
    """A checkpoint written by hand, after the description of the format."""
    folder.mkdir(parents=True)
    weights = safetensors.torch.save(policy.weights())
    (folder / "model.safetensors").write_bytes(weights)
    facts = {
        "schema": 1,
        "policy_version": 12,
        "env_steps": 3400,
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
        "components": COMPONENTS,
        "config": dict(cfg),
        "sha256": {"model.safetensors": hashlib.sha256(weights).hexdigest()},
    }
    (folder / "checkpoint.json").write_text(json.dumps({**facts, **changes}))
    return folder


@pytest.fixture
def saved(tmp_path, policy_of, cfg_of):
    """A policy and the folder of its run."""
    cfg = cfg_of(use_rnn=True, rnn_type="lstm", encoder_mlp_layers=[5])
    policy = policy_of(OBS, ACTIONS, **{key: cfg[key] for key in ("use_rnn", "rnn_type", "encoder_mlp_layers")})
    policy.actor_critic.obs_normalizer.update({"obs": torch.randn(50, 3) * 4, "image": torch.rand(50, 40, 40, 3) * 99})
    write_checkpoint(tmp_path / "checkpoint_p0" / "checkpoint_000000012_3400", policy, cfg)
    return policy, tmp_path, cfg


def assert_acts_alike(one, other):
    state_one = state_other = None
    for _ in range(3):
        observation = OBS.sample()
        action_one, state_one = one.act(observation, state_one, deterministic=True)
        action_other, state_other = other.act(observation, state_other, deterministic=True)
        assert action_one == action_other
        np.testing.assert_array_equal(state_one, state_other)


@pytest.mark.parametrize("where", [".", "checkpoint_p0", "checkpoint_p0/checkpoint_000000012_3400"])
def test_a_loaded_policy_acts_like_the_saved_one(saved, where):
    policy, run, _ = saved
    loaded = Policy.load(run / where, device="cpu")
    assert loaded.policy_version == 12
    assert loaded.checkpoint.name == "checkpoint_000000012_3400"
    assert loaded.observation_space == OBS
    assert loaded.action_space == ACTIONS
    assert_acts_alike(policy, loaded)


def test_loading_inside_inference_mode_gives_ordinary_weights(saved):
    with torch.inference_mode():
        loaded = Policy.load(saved[1], device="cpu")
    assert not any(p.is_inference() for p in loaded.actor_critic.parameters())


def test_the_newest_checkpoint_is_found_by_number_not_by_name(tmp_path):
    for name in ("checkpoint_999999999_9", "checkpoint_1000000000_8", "checkpoint_1000000000_10", "checkpoint_temp"):
        (tmp_path / name).mkdir()
    (tmp_path / "best_000000005_6_reward_1.5").mkdir()
    names = [path.name for path in find_checkpoints(tmp_path, "latest")]
    assert names == ["checkpoint_1000000000_10", "checkpoint_1000000000_8", "checkpoint_999999999_9"]
    assert [path.name for path in find_checkpoints(tmp_path, "best")] == ["best_000000005_6_reward_1.5"]


def test_best_is_loaded_if_there_is_one_and_latest_otherwise(saved):
    policy, run, cfg = saved
    assert Policy.load(run, "cpu", "best").checkpoint.name.startswith("checkpoint_")
    write_checkpoint(run / "checkpoint_p0" / "best_000000003_100_reward_2.0", policy, cfg, policy_version=3)
    assert Policy.load(run, "cpu", "best").policy_version == 3
    assert Policy.load(run, "cpu").policy_version == 12


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(saved):
    policy, run, cfg = saved
    newer = write_checkpoint(run / "checkpoint_p0" / "checkpoint_000000020_9000", policy, cfg)
    content = bytearray((newer / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (newer / "model.safetensors").write_bytes(content)
    assert Policy.load(run, "cpu").policy_version == 12
    with pytest.raises(UsageError, match="not what its checksum says"):
        Policy.load(newer, "cpu")
    (run / "checkpoint_p0" / "checkpoint_000000012_3400" / "checkpoint.json").write_text("{")
    with pytest.raises(UsageError, match="none of the 2 checkpoints"):
        Policy.load(run, "cpu")


def test_a_loaded_policy_names_the_env_whose_mask_leaves_no_choice(tmp_path, policy_of, cfg_of):
    space = spaces.Dict(obs=OBS["obs"], action_mask=spaces.MultiBinary(3))
    write_checkpoint(tmp_path / "checkpoint_000000012_3400", policy_of(space, ACTIONS), cfg_of(), env="maze")
    policy = Policy.load(tmp_path / "checkpoint_000000012_3400")
    with pytest.raises(UsageError, match="env 'maze' returned the observation 'action_mask' with no legal choice"):
        policy.act({"obs": OBS["obs"].sample(), "action_mask": np.zeros(3, np.int8)})


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint found"):
        Policy.load(tmp_path)


def test_a_component_that_is_not_installed_is_asked_for(saved):
    policy, run, cfg = saved
    folder = run / "checkpoint_p0" / "checkpoint_000000030_1"
    write_checkpoint(folder, policy, cfg, components={**COMPONENTS, "encoder": "script/ScriptEncoder"})
    with pytest.raises(UsageError, match=r"encoder 'script/ScriptEncoder'.*register it again"):
        Policy.load(folder, "cpu")


def test_a_reference_in_the_file_is_a_name_and_is_never_followed(saved, monkeypatch):
    policy, run, cfg = saved
    trap = types.ModuleType("trap_module")
    trap.run = lambda *_, **__: pytest.fail("code named by a checkpoint was executed")
    monkeypatch.setitem(sys.modules, "trap_module", trap)
    folder = run / "checkpoint_p0" / "checkpoint_000000030_1"
    components = {**COMPONENTS, "encoder": "trap_module:run"}
    write_checkpoint(folder, policy, cfg, components=components, config={**cfg, "plugins": ["trap_module"]})
    with pytest.raises(UsageError, match="trap_module:run"):
        Policy.load(folder, "cpu")


class ScriptEncoder(Encoder):
    def __init__(self, cfg, obs_space):
        super().__init__(cfg)
        self.layer = nn.Linear(3, 7)
        self.encoder_out_size = 7

    def forward(self, obs_dict):
        return self.layer(obs_dict["obs"])


def test_a_component_of_a_script_is_found_once_the_script_registered_it_again(saved, policy_of):
    _, run, cfg = saved
    changed = {key: cfg[key] for key in ("use_rnn", "rnn_type", "encoder_mlp_layers")}
    policy = policy_of(OBS, ACTIONS, {"encoder": ScriptEncoder}, **changed)
    folder = run / "checkpoint_p0" / "checkpoint_000000030_1"
    write_checkpoint(folder, policy, cfg, components={**COMPONENTS, "encoder": "script/ScriptEncoder"})
    try:
        global_model_factory().register_encoder_factory(ScriptEncoder)
        assert_acts_alike(policy, Policy.load(folder, "cpu"))
    finally:
        forget_registrations()
