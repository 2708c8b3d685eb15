"""`enjoy(cfg)`: watch one trained policy act in a window, or record it into a video file.

In: an evaluation configuration. Out: the mean return of the episodes shown, and `replay.mp4` with `--save_video`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sf_core.utils.errors import UsageError
from sf_core.utils.status import ExperimentStatus

if TYPE_CHECKING:
    import numpy as np

    from sf_core.cfg.config import Config
    from sf_core.envs.timestep import AgentVector
    from sf_core.eval.episodes import Counting, Evaluation
    from sf_core.eval.session import EvalSession
    from sf_core.eval.video import VideoWriter

_UNLIMITED = 10**9


def enjoy(cfg: Config) -> tuple[ExperimentStatus, float]:
    """Play episodes in one environment, rendered, recorded or neither; prints what they came to.

    Returns:
        The status (INTERRUPTED after Ctrl+C, which keeps the video so far), and the mean raw return of the episodes
        that ended.

    Raises:
        UsageError: there is no such run or checkpoint, its components are not installed, or there is no display.
        ComponentFailure: the environment raised.
    """
    from gymnasium.error import DependencyNotInstalled

    from sf_core.eval.episodes import Counting
    from sf_core.eval.session import open_session

    render_mode = _render_mode(cfg)
    video_path = _video_path(cfg) if cfg.save_video else None
    viewing = Viewing(cfg)
    played_cfg, action_repeat = at_frame_skip(cfg)
    session = open_session(played_cfg)
    status = ExperimentStatus.SUCCESS
    try:
        vector = session.make_vector(1, render_mode)
        counting = Counting(viewing.num_episodes, 1, vector.agents_per_env, session.seed)
        try:
            _show(cfg, session, vector, counting, viewing, action_repeat, video_path)
        except KeyboardInterrupt:
            print("interrupted")
            status = ExperimentStatus.INTERRUPTED
        finally:
            vector.close()
    except DependencyNotInstalled as error:  # what draws an env is often an extra of its package
        raise UsageError(f"{cfg.env} cannot be drawn: {error}") from error
    return status, _print_statistics(counting.evaluation())


class Viewing:
    """How many episodes are played, which steps are shown, and when enough was seen.

    A video of N frames is all there is to do, unless episodes were asked for.
    """

    def __init__(self, cfg: Config) -> None:
        asked_episodes: int = min(int(cfg.max_num_episodes), cfg.episodes or _UNLIMITED)
        first_only = cfg.video_frames < 0
        self._recorded_frames: int = _UNLIMITED if first_only or not cfg.save_video else int(cfg.video_frames)
        self._first_only = first_only and bool(cfg.save_video)
        self._max_frames = int(cfg.max_num_frames)
        if asked_episodes >= _UNLIMITED:
            self._max_frames = min(self._max_frames, self._recorded_frames)
        limited = min(asked_episodes, self._max_frames) < _UNLIMITED
        self.num_episodes = 1 if cfg.save_video and not limited else asked_episodes
        self._frames = 0

    def after_step(self, episodes_ended: int) -> tuple[bool, bool]:
        """Whether what this step led to is shown, and whether to go on; a game has ended when its last agent has."""
        self._frames += 1
        shown = self._frames <= self._recorded_frames and not (self._first_only and episodes_ended)
        return shown, self._frames < self._max_frames


class _Canvas(Protocol):
    """Where pictures go: a video, or a window of ours."""

    def write(self, frame: np.ndarray) -> None: ...

    def close(self) -> None: ...


def _show(
    cfg: Config,
    session: EvalSession,
    vector: AgentVector,
    counting: Counting,
    viewing: Viewing,
    action_repeat: int,
    video_path: Path | None,
) -> None:
    """Play, and show or record every step."""
    import numpy as np

    from sf_core.eval.evaluate import play
    from sf_core.eval.overlay import Overlay
    from sf_core.eval.video import VideoWriter
    from sf_core.eval.window import Window

    fps = cfg.fps or vector.render_fps
    video = VideoWriter(video_path, fps) if video_path else None
    drawn = vector.render_mode is not None or not cfg.no_render
    overlay = Overlay(session.policy, vector) if cfg.overlay and drawn else None
    canvas: _Canvas | None = video if video else Window(f"{cfg.env} · {cfg.experiment}") if overlay else None
    pace = _Pace(fps if drawn and not video else 0.0)
    skip = session.cfg.env_frameskip if session.cfg.summaries_use_frameskip else 1  # lengths as training reports them
    acted, ended = np.zeros(vector.num_agents, bool), np.zeros(vector.num_agents, int)
    try:
        for moment in play(
            session.policy,
            vector,
            seed=session.seed,
            deterministic=bool(cfg.eval_deterministic),
            env_steps=session.env_steps,
            action_repeat=action_repeat,
            keep_observation=overlay is not None,
        ):
            acted |= moment.step.active
            ended += moment.step.episode_end
            counting.note_acting(moment.step.active)
            for episode in counting.add(moment.finished):
                agent = f", agent {episode.agent}" if vector.agents_per_env > 1 else ""
                told = f"return {episode.reward:.3f}, length {episode.length * skip}"
                print(f"episode {episode.number}{agent}: {told}", flush=True)
            shown, goes_on = viewing.after_step(int(ended[acted].min()) if acted.any() else 0)
            if drawn and shown:
                picture = vector.render()
                if canvas is not None:
                    if picture is None:
                        raise UsageError(f"{cfg.env} gives no picture in render mode rgb_array; use --no_render.")
                    canvas.write(picture if overlay is None else overlay.draw(picture, moment))
            pace.wait()
            if counting.is_complete() or not goes_on:
                break
    finally:
        if canvas is not None:
            canvas.close()
        if video is not None:
            _say_what_was_written(video)


class _Pace:
    """Real time: one call a frame. An env that keeps the time itself is not slowed down further."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1 / fps if fps else 0.0
        self._next_s = time.monotonic()

    def wait(self) -> None:
        if self._interval_s:
            self._next_s = max(self._next_s + self._interval_s, time.monotonic())
            time.sleep(max(0.0, self._next_s - time.monotonic()))


def at_frame_skip(cfg: Config) -> tuple[Config, int]:
    """The configuration with the frame skip that is shown, and how often each action is repeated to make up for it.

    Raises:
        UsageError: the flags contradict each other, or do not divide the frame skip of the run.
    """
    trained: int = cfg.env_frameskip
    shown, repeat = cfg.eval_env_frameskip, cfg.render_action_repeat
    if shown is None and repeat is None:
        return cfg, 1
    if shown is not None and repeat is not None and shown * repeat != trained:
        raise UsageError(
            f"--eval_env_frameskip={shown} and --render_action_repeat={repeat} do not make up env_frameskip={trained}; "
            "leave one of them out."
        )
    for name, value in (("eval_env_frameskip", shown), ("render_action_repeat", repeat)):
        if value is not None and trained % value:
            divisors = ", ".join(str(number) for number in range(1, trained + 1) if trained % number == 0)
            raise UsageError(f"--{name}={value} does not divide env_frameskip={trained}; try one of {divisors}.")
    shown = shown if shown is not None else trained // repeat
    repeat = trained // shown
    # both, so that an env which stacks frames knows how far apart those are that the policy learned from
    return cfg.replace("cli", env_frameskip=shown, eval_env_frameskip=shown, render_action_repeat=repeat), repeat


def _render_mode(cfg: Config) -> str | None:
    display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    headless = sys.platform.startswith("linux") and not display
    if cfg.save_video:
        if headless:
            os.environ.setdefault(
                "SDL_VIDEODRIVER", "dummy"
            )  # pygame, which draws many envs, must not look for a screen
        return "rgb_array"
    if cfg.no_render:
        return None
    if headless:
        raise UsageError("there is no display to render to; add --save_video to record a video, or --no_render.")
    return "rgb_array" if cfg.overlay else "human"


def _video_path(cfg: Config) -> Path:
    """A file in the folder of the run that is not there yet."""
    from sf_core.eval.video import unused_path

    name: str = cfg.video_name or "replay"
    if Path(name).name != name:
        raise UsageError(f"--video_name={name} has a folder in it; videos are written into the folder of their run.")
    ending = Path(name).suffix if name.endswith((".mp4", ".gif")) else ""
    if ending and cfg.video_format and ending != f".{cfg.video_format}":
        raise UsageError(f"--video_name={name} and --video_format={cfg.video_format} contradict each other.")
    name = name if ending else f"{name}.{cfg.video_format or 'mp4'}"
    return unused_path(Path(cfg.train_dir).expanduser() / str(cfg.experiment) / name)


def _say_what_was_written(video: VideoWriter) -> None:
    if video.num_frames and video.path.exists():
        print(f"Wrote {video.num_frames} frames to {video.path}")


def _print_statistics(evaluation: Evaluation) -> float:
    """Means of all episodes, and of each agent where there are several; returns the mean return."""
    if not evaluation.episodes:
        print("No episode ended.")
        return float("nan")
    summary = evaluation.summary()
    mean: float = summary["reward_mean"]
    print(f"mean return {mean:.3f} over {summary['episodes']} episodes")
    if len(evaluation.agents) > 1:
        for agent in evaluation.agents:
            own = evaluation.of_agent(agent)
            stats = "".join(f", {name} {value:.3f}" for name, value in own.extra_stats.items())
            print(f"agent {agent}: mean return {own.summary()['reward_mean']:.3f}{stats}")
    for name, value in evaluation.extra_stats.items():
        print(f"mean {name}: {value:.3f}")
    return mean
