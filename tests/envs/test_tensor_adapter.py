"""What is particular to tensors: actions as the env wants them, and mistakes of the env in one sentence."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from sf_core.envs.adapters.common import TENSOR_DEVICE
from sf_core.envs.adapters.tensor import TensorEnvs, action_decoder
from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.env_info import probe_env
from sf_core.envs.env_utils import TrainingInfoInterface
from sf_core.envs.spaces import action_parts, decode_action
from sf_core.plugins.plan import EnvPlan
from sf_core.rollout.tensor_buffers import TensorBuffers
from sf_core.sampler.tensor_group import TensorGroup
from sf_core.testing.fakes import CountingVectorEnv
from sf_core.testing.tensor_envs import AsTensors, TensorCartPole
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError

FAKES, TENSORS = "sf_core.testing.fakes", "sf_core.testing.tensor_envs"
PLAN = EnvPlan(
    "counting",
    "test",
    factory=f"{FAKES}:make_counting_env",
    vector_factory=f"{TENSORS}:make_counting_tensor_env",
)

SPACES = [
    spaces.Discrete(5),
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([3, 4]),
    spaces.MultiBinary(3),
    spaces.Box(np.array([-1, 0], np.float32), np.array([1, np.inf], np.float32)),
    spaces.Box(0, 255, (2, 2), np.uint8),
    spaces.Dict(
        {"move": spaces.Discrete(3), "aim": spaces.Tuple((spaces.Box(-1, 1, ()), spaces.Discrete(2, start=1)))}
    ),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_actions_reach_the_env_as_those_of_arrays_do(space):
    rng = np.random.default_rng(0)
    arrays = {}
    for part in action_parts(space):
        if part.kind == "box":
            arrays[part.name] = rng.normal(0, 100, (6, *part.shape)).astype(np.float32)
        else:
            arrays[part.name] = rng.integers(0, 2, (6, *part.shape))
    expected = decode_action(space, arrays, batched=True)
    found = action_decoder(space, torch.device("cpu"))({name: torch.from_numpy(x) for name, x in arrays.items()})

    def check(one, other):
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            one, other = tuple(one.values()), tuple(other.values())
        if isinstance(one, tuple):
            for first, second in zip(one, other, strict=True):
                check(first, second)
        else:
            np.testing.assert_array_equal(one.numpy(), other)
            assert one.numpy().dtype == other.dtype

    check(found, expected)


class Wrong(AsTensors):
    """Spoils one of the five things that `step` returns."""

    def __init__(self, position, change):
        super().__init__(CountingVectorEnv(2))
        self._position, self._change = position, change

    def step(self, actions):
        result = list(super().step(actions))
        result[self._position] = self._change(result[self._position])
        return tuple(result)


@pytest.mark.parametrize(
    ("position", "change", "sentence"),
    [
        (0, lambda x: x.numpy(), "observation 'obs' as a ndarray"),
        (0, lambda x: x[:, :2], r"shape \(2, 2\) where its observation_space says \(2, 3\)"),
        (1, lambda x: x.tolist(), "reward as a list"),
        (1, lambda x: x[:1], "1 entries as reward"),
        (2, lambda x: x.float(), "terminated as torch.float32; return a bool tensor"),
        (3, lambda x: x.to("meta"), "truncated on meta, but its metadata"),
    ],
)
def test_a_wrong_step_is_one_sentence(position, change, sentence):
    envs = TensorEnvs(Wrong(position, change), name="wrong")
    envs.reset()
    with pytest.raises(UsageError, match=sentence):
        envs.step({"action": torch.zeros(2, dtype=torch.int64)})


def test_the_marker_chooses_the_adapter_and_the_caller_says_whether_it_can_do_with_tensors():
    envs = create_agent_vector(PLAN, AttrDict(), 3, tensors="keep")
    assert isinstance(envs, TensorEnvs)
    assert (envs.num_agents, envs.device) == (3, torch.device("cpu"))
    assert isinstance(envs.reset()["obs"], torch.Tensor)
    converted = create_agent_vector(PLAN, AttrDict(), 3, tensors="convert")
    assert isinstance(converted.reset()["obs"], np.ndarray)
    with pytest.raises(UsageError, match="other processes cannot read; add --serial_mode=True"):
        probe_env(PLAN, AttrDict())  # what the parallel engine does first


def test_cartpole_in_tensors_moves_as_gymnasiums_does():
    import gymnasium

    ours = TensorCartPole(2, seed=1)
    observation, _ = ours.reset()
    theirs = gymnasium.make("CartPole-v1").unwrapped
    theirs.reset()
    theirs.state = observation[1].double().numpy()
    rng = np.random.default_rng(0)
    for _ in range(100):
        action = int(rng.integers(2))
        observation, reward, terminated, truncated, infos = ours.step(torch.tensor([1 - action, action]))
        expected, _, over, _, _ = theirs.step(action)
        np.testing.assert_allclose(infos["final_obs"][1].numpy(), expected, rtol=1e-4, atol=1e-5)
        assert bool(terminated[1]) == over
        if over:
            break
    assert over
    assert observation[1].abs().max() <= 0.05  # it has been reset
    assert not truncated.any()
    assert reward.tolist() == [1.0, 1.0]
    assert ours.metadata == {"autoreset_mode": AutoresetMode.SAME_STEP, TENSOR_DEVICE: "cpu"}


def test_an_env_in_tensors_hears_how_far_training_is():
    class Curriculum(AsTensors, TrainingInfoInterface):
        def __init__(self, env):
            AsTensors.__init__(self, env)
            TrainingInfoInterface.__init__(self)

    env = Curriculum(CountingVectorEnv(2, AutoresetMode.NEXT_STEP))
    vector = TensorEnvs(env)
    sizes = {"num_action_parameters": 2, "rnn_size": 1, "num_slots": 2, "num_agents": 2, "rollout": 2, "recurrence": 1}
    parts = action_parts(vector.action_space)
    group = TensorGroup(vector, TensorBuffers(vector.observation_space, parts, device="cpu", **sizes))
    group.reset()
    group.begin_rollout(np.arange(2), env_steps=700)
    assert env.training_info == {"policy_id": 0, "approx_total_training_steps": 700}


def test_a_statistic_counts_where_gymnasiums_masks_say_that_it_was_reported():
    class Reporting(AsTensors):
        def step(self, actions):
            *four, _ = super().step(actions)
            said = torch.tensor([True, False])
            stats = {"kills": torch.tensor([3, 0]), "_kills": said, "place": torch.tensor([1.0, 2.0])}
            infos = {"episode_extra_stats": stats, "true_objective": torch.tensor([7.0, 0.0]), "_true_objective": said}
            return (*four, infos)

    vector = TensorEnvs(Reporting(CountingVectorEnv(2, AutoresetMode.NEXT_STEP)))
    sizes = {"num_action_parameters": 2, "rnn_size": 1, "num_slots": 2, "num_agents": 2, "rollout": 9, "recurrence": 1}
    parts = action_parts(vector.action_space)
    group = TensorGroup(vector, TensorBuffers(vector.observation_space, parts, device="cpu", **sizes))
    group.reset()
    group.begin_rollout(np.arange(2))
    for t in range(9):
        group.step(t)
    reported = {episode.agent: episode.extra_stats for episode in group.finished_episodes()}
    assert reported == {0: {"kills": 3.0, "place": 1.0, "true_objective": 7.0}, 1: {"place": 2.0}}


class Masked(VectorEnv):
    """Leaves env 1 no second choice in its third observation."""

    num_envs = 2
    single_observation_space = spaces.Dict(obs=spaces.Box(0, 1, (1,)), action_mask=spaces.MultiBinary(5))
    single_action_space = spaces.MultiDiscrete([2, 3])

    def __init__(self):
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, TENSOR_DEVICE: "cpu"}

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self._observation(), {}

    def step(self, actions):
        self.steps += 1
        return self._observation(), torch.zeros(2), torch.zeros(2).bool(), torch.zeros(2).bool(), {}

    def _observation(self):
        mask = torch.ones(2, 5, dtype=torch.int8)
        mask[1, 2:] = int(self.steps != 2)
        return {"obs": torch.zeros(2, 1), "action_mask": mask}


@pytest.mark.parametrize("rollout", [2, 3])
def test_a_mask_in_tensors_that_leaves_no_choice_is_an_error_once_somebody_had_to_act(rollout):
    vector = TensorEnvs(Masked(), name="maze")
    sizes = {"num_action_parameters": 5, "rnn_size": 1, "num_slots": 2, "num_agents": 2, "recurrence": 1}
    parts = action_parts(vector.action_space)
    group = TensorGroup(vector, TensorBuffers(vector.observation_space, parts, device="cpu", rollout=rollout, **sizes))
    group.reset()
    group.begin_rollout(np.arange(2))
    for t in range(rollout):
        group.step(t)
    if rollout == 2:  # nobody has acted on it yet
        assert group.finished_episodes() == []
        return
    with pytest.raises(UsageError, match=r"env 'maze' returned the observation 'action_mask' with no legal .* row 1"):
        group.finished_episodes()
