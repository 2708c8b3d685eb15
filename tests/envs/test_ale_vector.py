"""ALE's own vector env, where it is installed: the adapter reads its seeds and full-array final observations."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from sf_core.envs.adapters.vector import VectorEnvs

pytest.importorskip("cv2")
vector_env = pytest.importorskip("ale_py.vector_env")


def play(mode):
    env = vector_env.AtariVectorEnv(
        "pong", 2, autoreset_mode=mode, max_num_frames_per_episode=40, noop_max=1, reward_clipping=False
    )
    vector = VectorEnvs(env, name="pong", seed=3)
    vector.reset()
    return vector


def test_both_modes_leave_the_same_final_observations_behind():
    actions = {"action": np.zeros(2, np.int64)}
    same, following = play(AutoresetMode.SAME_STEP), play(AutoresetMode.NEXT_STEP)
    for _ in range(30):
        step, other = same.step(actions), following.step(actions)
        assert step.truncated.tolist() == other.truncated.tolist()
        if step.truncated.any():
            break
    assert step.final_rows.all()
    assert other.valid.all()
    np.testing.assert_array_equal(step.final_observation["obs"], other.observation["obs"])
    assert not following.step(actions).valid.any()
    same.close()
    following.close()
