"""Tells observers what happens in a run, and keeps a failing observer from stopping it.

In: chosen observers and events. Out: extra scalars, requests to stop or to save. The base class that authors extend is
`sf_core.plugins.observer.TrainingObserver`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sf_core.cfg.config import Config
from sf_core.plugins.observer import EpisodeView, TrainingObserver
from sf_core.plugins.plan import RunPlan, describe_error
from sf_core.utils.errors import ComponentFailure, UsageError
from sf_core.utils.log import log
from sf_core.utils.status import ExperimentStatus


class ObservedRun:
    """What an observer may see and ask of a run; nothing else is public."""

    def __init__(self, cfg: Mapping[str, Any], plan: Any, directory: Path, env_steps: Callable[[int], int]) -> None:
        self.cfg = cfg
        self.plan = plan
        self.directory = directory
        self.metrics: dict[str, float] = {}
        """Newest scalars by their TensorBoard tag."""
        self._env_steps = env_steps
        self._stop_reason = ""
        self._checkpoint_requested = False

    def env_steps(self, policy_id: int = 0) -> int:
        """Env steps that policy was trained on so far."""
        return self._env_steps(policy_id)

    def request_checkpoint(self) -> None:
        """Save a checkpoint after the current training iteration."""
        self._checkpoint_requested = True

    def request_stop(self, reason: str) -> None:
        """End the run after the current training iteration; `reason` goes into the log and `result.json`."""
        self._stop_reason = reason

    def _take_checkpoint_request(self) -> bool:
        requested, self._checkpoint_requested = self._checkpoint_requested, False
        return requested


@dataclass
class _Seat:
    name: str
    origin: str
    observer: TrainingObserver
    critical: bool
    enabled: bool = True


class ObserverHost:
    """Calls every observer in turn; the first exception of one disables it, unless it is critical."""

    def __init__(self, run: ObservedRun, strict: bool = False) -> None:
        self._run = run
        self._strict = strict
        self._seats: list[_Seat] = []

    def add(self, name: str, observer: TrainingObserver, *, origin: str = "", critical: bool = False) -> None:
        """Seat one observer. `origin` says whose it is: "plugin my_env, my-env-plugin 0.1"."""
        self._seats.append(_Seat(name, origin, observer, critical or self._strict))

    @property
    def disabled(self) -> list[str]:
        """Names of observers that failed, for the end-of-run summary."""
        return [seat.name for seat in self._seats if not seat.enabled]

    @property
    def stop_reason(self) -> str:
        """Why an observer asked the run to end; empty if none did."""
        return self._run._stop_reason

    def take_checkpoint_request(self) -> bool:
        """True once after an observer asked for a checkpoint."""
        return self._run._take_checkpoint_request()

    def on_start(self) -> None:
        """Everything is up; the first rollout begins."""
        self._tell(lambda observer: observer.on_start(self._run))

    def on_episodes(self, policy_id: int, episodes: Sequence[EpisodeView]) -> None:
        """Some episodes finished."""
        if episodes:
            self._tell(lambda observer: observer.on_episodes(self._run, policy_id, episodes))

    def on_train_step(self, policy_id: int, stats: Mapping[str, float]) -> None:
        """A training iteration ended; `stats` are its scalars by tag."""
        self._tell(lambda observer: observer.on_train_step(self._run, policy_id, stats))

    def on_report(self, policy_id: int, env_steps: int, scalars: Mapping[str, float]) -> None:
        """Metrics were written; `scalars` are all of them by tag."""
        self._tell(lambda observer: observer.on_report(self._run, policy_id, env_steps, scalars))

    def on_checkpoint(self, policy_id: int, path: Path) -> None:
        """A checkpoint is complete on disk."""
        self._tell(lambda observer: observer.on_checkpoint(self._run, policy_id, path))

    def on_stop(self, status: ExperimentStatus) -> None:
        """The run is over."""
        self._tell(lambda observer: observer.on_stop(self._run, status))

    def summaries(self, policy_id: int, env_steps: int) -> dict[str, float]:
        """Extra scalars of all observers."""
        scalars: dict[str, float] = {}

        def collect(observer: TrainingObserver) -> None:
            extra = observer.summaries(self._run, policy_id, env_steps)
            scalars.update({tag: float(value) for tag, value in (extra or {}).items()})

        self._tell(collect)
        return scalars

    def _tell(self, call: Callable[[TrainingObserver], None]) -> None:
        for seat in self._seats:
            if not seat.enabled:
                continue
            try:
                call(seat.observer)
            except Exception:
                if seat.critical:
                    raise
                seat.enabled = False
                whose = f" ({seat.origin})" if seat.origin else ""
                log.exception("Observer %s%s failed and is switched off; training goes on", seat.name, whose)


def make_observers(cfg: Config, plan: RunPlan, host: ObserverHost) -> None:
    """Build the chosen observers and seat them in `host`.

    Raises:
        ComponentFailure: one of them cannot be built; the message says whose it is.
    """
    for ref in plan.observers:
        package = plan.plugins.get(ref.plugin, {})
        origin = " ".join(word for word in (package.get("distribution"), package.get("version")) if word)
        origin = ", ".join(filter(None, (f"plugin {ref.plugin}", origin)))
        try:
            observer = ref.make(cfg)
        except UsageError:
            raise
        except Exception as error:
            raise ComponentFailure(
                f"observer {ref.name!r} ({origin}) cannot be built: {describe_error(error)}"
            ) from error
        host.add(ref.qualified, observer, origin=origin, critical=ref.critical)
