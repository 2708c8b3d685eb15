"""What must be known about an environment before anything is built: its spaces and its agents.

In: the plan of an env. Out: `EnvInfo`, from a child process that makes the env once, resets it and takes one step, so
that the main process never imports a simulator and mistakes in an env are found before a run starts. Not known here:
what the numbers are used for.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Dict, Space

from sf_core.envs.create_env import create_agent_vector
from sf_core.envs.mask_check import MaskCheck
from sf_core.envs.spaces import action_parts, is_action_mask
from sf_core.envs.timestep import AgentVector
from sf_core.plugins.plan import EnvError, EnvPlan, describe_error
from sf_core.utils.ctrl_c import ctrl_c_held_back, let_ctrl_c_through
from sf_core.utils.errors import UsageError
from sf_core.utils.memory import own_bytes
from sf_core.utils.process_facts import set_title, signal_of

PROBE_TITLE = "sf-probe"
_LONGEST_LOOK_S = 1.0  # for the first end of an episode of a multi-agent env; it is looked for no longer
_ENDS_IN_A_ROW = 20  # after a longer episode; nobody's episodes look like that but those of an env that does not reset
_MOST_STEPS = 1000


@dataclass(frozen=True)
class EnvInfo:
    """What a policy and its buffers are built from.

    Attributes:
        observation_space: flat leaves of one agent's observation.
        action_space: of one agent, as the env has it.
        num_agents: agents in one env.
        frame_skip: simulator steps in one env step (`--env_frameskip`); the core itself skips none.
        step_s: seconds of one step with random actions, resets included; 0 where nobody asked for it.
        env_bytes: by how much the process that made it grew; 0 where it is not known.
    """

    observation_space: Dict
    action_space: Space[Any]
    num_agents: int
    frame_skip: int = 1
    step_s: float = 0.0
    env_bytes: int = 0


class ProbeError(Exception):
    """The traceback in the probe, as text; the cause of the error it led to."""


def env_info_of(vector: AgentVector, frame_skip: int = 1) -> EnvInfo:
    """The facts about envs that exist already."""
    return EnvInfo(vector.observation_space, vector.action_space, vector.agents_per_env, frame_skip)


def look_at_env(
    plan: EnvPlan, cfg: Any, *, measure_s: float = 0.0, tensors: Literal["refuse", "convert"] = "refuse"
) -> EnvInfo:
    """Make the env once in this process, look at its first reset and steps, and close it.

    With `measure_s` it also takes steps with random actions for about so many seconds, to see how long they take.

    Raises:
        UsageError: it returns something wrong, in a sentence that names it.
        EnvError: its code raised.
    """
    try:
        return _look(plan, cfg, measure_s, tensors)
    except (UsageError, EnvError):
        raise
    except Exception as error:
        raise EnvError(
            f"env {plan.name!r} ({plan.owner}) failed in its first steps: {describe_error(error)}"
        ) from error


def probe_env(plan: EnvPlan, cfg: Any, *, measure_s: float = 0.0) -> EnvInfo:
    """Make the env once in a child process, look at its first reset and step, and report.

    With `measure_s` it also takes steps with random actions for about so many seconds, to see how long they take.

    A plan that cannot be sent to another process (a lambda registered by a script, an interactive session) is probed
    here; it can run in this process only anyway.

    Raises:
        UsageError: the env cannot be made or returns something wrong, in a sentence that names it.
    """
    if not _can_be_sent(plan, cfg):
        try:
            return look_at_env(plan, cfg, measure_s=measure_s)
        except EnvError as error:
            raise UsageError(str(error)) from error
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_probe_main, args=(sender, plan, cfg, measure_s), name=PROBE_TITLE)
    with ctrl_c_held_back():
        process.start()
    sender.close()  # only the child has this end now, so its death ends the wait below
    try:
        answer = receiver.recv()
    except EOFError:
        process.join()
        raise UsageError(f"env {plan.name!r} ({plan.owner}): {_why_it_died(process.exitcode)}") from None
    finally:
        receiver.close()
        if process.is_alive():
            process.join(timeout=5)  # s; it has answered or been interrupted, and only closes the env
        if process.is_alive():
            process.terminate()
        process.join()
    if isinstance(answer, EnvInfo):
        return answer
    sentence, text = answer
    raise UsageError(sentence) from ProbeError(text)


def _look(plan: EnvPlan, cfg: Any, measure_s: float, tensors: Literal["refuse", "convert"]) -> EnvInfo:
    before = own_bytes()
    vector = create_agent_vector(plan, cfg, 1, tensors=tensors)
    try:
        masks = MaskCheck(vector.name, vector.observation_space.spaces, vector.action_space)
        observation = vector.reset()
        step = vector.step(masks.first_legal(observation, vector.num_agents))
        if vector.agents_per_env > 1:
            _look_at_ends(vector, masks, step.observation)
        info = env_info_of(vector, int(getattr(cfg, "env_frameskip", 1)))
        if measure_s:
            info = replace(info, step_s=_step_s(vector, measure_s), env_bytes=max(0, own_bytes() - before))
        return info
    finally:
        vector.close()


def _look_at_ends(vector: AgentVector, masks: MaskCheck, observation: Mapping[str, np.ndarray]) -> None:
    """A multi-agent env must reset its agents itself; one that does not goes on saying that they are done."""
    until_s = time.monotonic() + _LONGEST_LOOK_S
    went_on = np.zeros(vector.num_agents, bool)  # had a step that did not end its episode
    ends_in_a_row = np.zeros(vector.num_agents, np.int64)
    began_anew = np.zeros(vector.num_agents, bool)
    while time.monotonic() < until_s and not began_anew.all():
        step = vector.step(masks.first_legal(observation, vector.num_agents))
        observation = step.observation
        began_anew |= (ends_in_a_row > 0) & ~step.episode_end
        ends_in_a_row = np.where(step.episode_end, ends_in_a_row + 1, 0)
        went_on |= step.active & ~step.episode_end
        stuck = went_on & (ends_in_a_row >= _ENDS_IN_A_ROW)
        if stuck.any():
            raise UsageError(
                f"env {vector.name!r} says in every step that agent {int(np.flatnonzero(stuck)[0])} is done; a "
                "multi-agent env must reset an agent itself when it is done, and return the first observation of its "
                "next episode in that step"
            )


def _step_s(vector: AgentVector, measure_s: float) -> float:
    """Mean seconds of a step; 0 where random actions are not allowed."""
    if any(is_action_mask(key) for key in vector.observation_space):
        return 0.0
    parts = action_parts(vector.action_space)
    rng = np.random.default_rng(0)
    # of real numbers those between -1 and 1, or the nearest there are
    low = {part.name: np.clip(-1, part.low, part.high) for part in parts}
    high = {part.name: part.high if part.kind == "discrete" else np.clip(1, part.low, part.high) for part in parts}
    begin_s, num_steps = time.monotonic(), 0
    while (passed_s := time.monotonic() - begin_s) < measure_s and num_steps < _MOST_STEPS:
        actions = {}
        for part in parts:
            drawn = rng.uniform(low[part.name], high[part.name], (vector.num_agents, *part.shape))
            actions[part.name] = (np.rint(drawn) if part.kind == "discrete" else drawn).astype(part.dtype)
        try:
            vector.step(actions)
        except Exception:  # it shows in the run, with a policy's actions, or never
            return 0.0
        num_steps += 1
    return passed_s / max(num_steps, 1)


def _probe_main(sender: Connection, plan: EnvPlan, cfg: Any, measure_s: float) -> None:
    set_title(PROBE_TITLE)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends the probe without a traceback of its own
    let_ctrl_c_through()
    try:
        answer: EnvInfo | tuple[str, str] = look_at_env(plan, cfg, measure_s=measure_s)
    except (UsageError, EnvError) as error:
        answer = (str(error), traceback.format_exc())
    sender.send(answer)
    sender.close()


def _can_be_sent(plan: EnvPlan, cfg: Any) -> bool:
    refs = [plan.factory, plan.vector_factory, plan.worker_init, *(wrapper.factory for wrapper in plan.wrappers)]
    if any(isinstance(ref, str) and ref.startswith("__main__:") for ref in refs) and not hasattr(
        sys.modules.get("__main__"), "__file__"
    ):
        return False
    try:
        pickle.dumps((plan, cfg))
    except Exception:
        return False
    return True


def _why_it_died(exit_code: int | None) -> str:
    if name := signal_of(exit_code):
        return f"the process that made it was killed by {name}; run the env alone to see why"
    return (
        f"the process that made it ended with exit code {exit_code} and no report; see its output above (a script "
        'needs `if __name__ == "__main__":` around the line that starts the run)'
    )
