"""The learner as the runner sees it: counters, and checkpoints that another process writes.

In: messages of the learner process. Out: the same face that a learner in this process has (`saving.LearnerFiles`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection

from sf_core.runner.processes.messages import Built, Counters, Restored, Saved, SaveRequest


class RemoteLearner:
    """Stands for the learner process.

    Args:
        control: the connection to it.
        built: what it said when its model was there.
        next_message: waits for one message of it and deals with it; raises when it is gone.
    """

    def __init__(self, control: Connection, built: Built, next_message: Callable[[], None]) -> None:
        self._control = control
        self._restored = built.restored
        self._next_message = next_message
        self._waiting: deque[Callable[[Saved], None]] = deque()
        self.counters: Counters = built.counters

    @property
    def policy_version(self) -> int:
        """Optimizer steps so far, as far as the runner knows."""
        return self.counters.policy_version

    @property
    def env_steps(self) -> int:
        """Env steps trained on so far."""
        return self.counters.env_steps

    @property
    def agent_steps(self) -> int:
        """Agent steps trained on so far."""
        return self.counters.agent_steps

    def restore(self) -> Restored | None:
        """What the learner process restored when it began."""
        return self._restored

    def save(self, request: SaveRequest, done: Callable[[Saved], None]) -> None:
        """Ask for a checkpoint; the learner saves between two iterations and `saved` is called then."""
        self._waiting.append(done)
        self._control.send(request)

    def saved(self, saved: Saved) -> None:
        """The oldest request was fulfilled."""
        self._waiting.popleft()(saved)

    def wait_for_saves(self) -> None:
        """Return when everything asked for is on disk."""
        while self._waiting:
            self._next_message()
