"""An env offered as tensors fills the same rollouts as the same env offered as arrays."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from sf_core.envs.adapters.tensor import HostEnvs, TensorEnvs
from sf_core.envs.adapters.vector import VectorEnvs
from sf_core.envs.spaces import action_parts, num_action_parameters
from sf_core.rollout.buffers import RolloutBuffers
from sf_core.rollout.tensor_buffers import TensorBuffers
from sf_core.rollout.train_batch import take_batch
from sf_core.sampler.env_group import EnvGroup
from sf_core.sampler.inference_worker import InferenceWorker
from sf_core.sampler.rollout_worker import RolloutWorker
from sf_core.sampler.tensor_group import TensorGroup
from sf_core.sampler.tensor_inference import TensorInference
from sf_core.testing.fake_policy import CountingPolicy
from sf_core.testing.fakes import CountingVectorEnv, Script
from sf_core.testing.tensor_envs import AsTensors

NUM_ENVS, T = 3, 8
NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
SCRIPTS = {
    "both ends": Script(),
    "both flags set": Script(ends=("both", "truncated")),
    "one-step episodes": Script(lengths=(1, 2, 1), ends=("truncated", "terminated", "both")),
    "lives lost": Script(lengths=(6, 4, 5), lives_lost=(2, 3)),
    "a life lost at the end": Script(lengths=(4, 3), ends=("truncated", "terminated"), lives_lost=(3,)),
}


def collect(build, env, slots_of_rollouts, rnn_size=2):
    """Batches of two rollouts in a row, the episodes that ended meanwhile, and how many bootstraps were approximate."""
    envs, make_buffers, make_group, make_inference = build(env)
    space, parts = envs.observation_space, action_parts(envs.action_space)
    num_parameters = num_action_parameters(envs.action_space)
    policy = CountingPolicy(parts, num_parameters, rnn_size)
    buffers = make_buffers(
        space,
        parts,
        num_action_parameters=num_parameters,
        rnn_size=rnn_size,
        num_slots=2 * NUM_ENVS,
        num_agents=NUM_ENVS,
        rollout=T,
        recurrence=4,
    )
    worker = RolloutWorker([make_group(envs, buffers)])
    inference = make_inference(policy, buffers, NUM_ENVS)
    worker.reset()
    batches, episodes = [], []
    for slots in slots_of_rollouts:
        request = worker.begin(0, np.asarray(slots))
        for t in range(T):
            inference.answer([request])
            request = worker.advance(0, t)
        inference.answer([request])
        batches.append(take_batch(buffers, slots))
        episodes += worker.finished_episodes()
    return batches, sorted(episodes, key=lambda one: (one.agent, one.extra_stats["true_objective"])), inference


def as_arrays(env):
    group = lambda envs, buffers: EnvGroup(envs, buffers, reward_scale=0.5, reward_clip=1.0)  # noqa: E731
    return VectorEnvs(env), RolloutBuffers, group, InferenceWorker


def as_tensors(env):
    def buffers(*args, **kwargs):
        return TensorBuffers(*args, device="cpu", **kwargs)

    group = lambda envs, buffers: TensorGroup(envs, buffers, reward_scale=0.5, reward_clip=1.0)  # noqa: E731
    return TensorEnvs(AsTensors(env)), buffers, group, TensorInference


def as_tensors_on_the_host(env):
    return as_arrays(HostEnvs(AsTensors(env)))


def check_equal(one, other):
    for name in one.__dataclass_fields__:
        first, second = getattr(one, name), getattr(other, name)
        if not isinstance(first, dict):
            first, second = {name: first}, {name: second}
        assert first.keys() == second.keys()
        for key, tensor in first.items():
            if name == "final_value":  # read only where a step truncated
                tensor, second[key] = tensor[one.truncated], second[key][one.truncated]
            assert tensor.dtype == second[key].dtype
            torch.testing.assert_close(tensor, second[key], rtol=0, atol=0, msg=f"{name} {key}")


@pytest.mark.parametrize("slots", [[[0, 1, 2], [3, 4, 5]], [[5, 1, 3], [0, 2, 4]]], ids=["contiguous", "scattered"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    ("mode", "final_obs"), [(NEXT_STEP, "full"), (SAME_STEP, "full"), (SAME_STEP, "none"), (DISABLED, "full")]
)
@pytest.mark.parametrize("other", [as_tensors, as_tensors_on_the_host])
def test_tensors_and_arrays_give_the_same_learning_batches(mode, final_obs, script, slots, other):
    def env():
        return CountingVectorEnv(NUM_ENVS, mode, script, final_obs=final_obs, reuse_arrays=True)

    arrays, episodes, inference = collect(as_arrays, env(), slots)
    tensors, tensor_episodes, tensor_inference = collect(other, env(), slots)
    for one, two in zip(arrays, tensors, strict=True):
        check_equal(one, two)
    assert sum(int(batch.truncated.sum()) for batch in arrays) > 0
    assert len(episodes) > 5
    assert tensor_episodes == episodes
    assert tensor_inference.approximate_bootstraps == inference.approximate_bootstraps
    assert (inference.approximate_bootstraps > 0) == (final_obs == "none")


def test_an_observation_of_several_parts_stays_in_parts():
    def env():
        return CountingVectorEnv(NUM_ENVS, SAME_STEP, Script(), dict_observation=True)

    arrays, _, _ = collect(as_arrays, env(), [[0, 1, 2]])
    tensors, _, _ = collect(as_tensors, env(), [[0, 1, 2]])
    assert set(tensors[0].observation) == {"count", "phase"}
    check_equal(arrays[0], tensors[0])


def test_the_batch_is_a_view_of_the_buffers():
    envs, make_buffers, *_ = as_tensors(CountingVectorEnv(NUM_ENVS))
    buffers = make_buffers(
        envs.observation_space,
        action_parts(envs.action_space),
        num_action_parameters=2,
        rnn_size=1,
        num_slots=4,
        num_agents=NUM_ENVS,
        rollout=T,
        recurrence=T,
    )
    assert take_batch(buffers, [1, 2]).reward.data_ptr() == buffers.reward[1:].data_ptr()
    assert buffers.nbytes == sum(x.nbytes for x in buffers.arrays().values())
