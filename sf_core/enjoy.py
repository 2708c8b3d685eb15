"""`enjoy(cfg)`: watch one trained policy act in a window, or record it into a video file.

In: an evaluation configuration. Out: the mean return of the episodes shown, and `replay.mp4` with `--save_video`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sf_core.utils.errors import UsageError
from sf_core.utils.status import ExperimentStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from sf_core.cfg.config import Config
    from sf_core.eval.video import VideoWriter

_UNLIMITED = 10**9


def enjoy(cfg: Config) -> tuple[ExperimentStatus, float]:
    """Play episodes in one environment, rendered, recorded or neither.

    Returns:
        The status, and the mean raw return of the episodes that ended.

    Raises:
        UsageError: there is no such run or checkpoint, its components are not installed, or there is no display.
    """
    from gymnasium.error import DependencyNotInstalled

    from sf_core.eval.evaluate import evaluate
    from sf_core.eval.session import eval_seed, open_session
    from sf_core.eval.video import VideoWriter

    session = open_session(cfg, num_envs=1, render_mode=_render_mode(cfg))
    fps = cfg.fps or session.vector.render_fps
    video = VideoWriter(_video_path(cfg), fps) if cfg.save_video else None
    try:
        evaluation = evaluate(
            session.policy,
            session.vector,
            _num_episodes(cfg) * session.vector.num_agents,
            seed=eval_seed(cfg),
            deterministic=cfg.eval_deterministic,
            on_step=_on_step(cfg, session.vector.render, fps, video),
        )
    except DependencyNotInstalled as error:  # what draws an env is often an extra of its package
        raise UsageError(f"{cfg.env} cannot be drawn: {error}") from error
    finally:
        if video is not None:
            video.close()
        session.vector.close()
    if video is not None:
        print(f"Wrote {video.num_frames} frames to {video.path}")
    if not evaluation.episodes:
        print("No episode ended within the frames allowed.")
        return ExperimentStatus.SUCCESS, float("nan")
    for index, episode in enumerate(evaluation.episodes):
        print(f"episode {index}: return {episode.reward:.3f}, length {episode.length}")
    mean = evaluation.summary()["reward_mean"]
    print(f"mean return {mean:.3f} over {len(evaluation.episodes)} episodes")
    for name, value in evaluation.extra_stats.items():
        print(f"mean {name}: {value:.3f}")
    return ExperimentStatus.SUCCESS, mean


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
    return "human"


def _num_episodes(cfg: Config) -> int:
    """Episodes to play: as asked for; one for a video with no limit of its own."""
    limited = min(cfg.max_num_episodes, cfg.max_num_frames, cfg.video_frames) < _UNLIMITED
    if (cfg.save_video and not limited) or (cfg.video_frames < 0 and cfg.max_num_episodes >= _UNLIMITED):
        return 1
    return int(cfg.max_num_episodes)


def _video_path(cfg: Config) -> Path:
    name: str = cfg.video_name or "replay.mp4"
    if Path(name).name != name:
        raise UsageError(f"--video_name={name} has a folder in it; videos are written into the folder of their run.")
    name = name if name.endswith((".mp4", ".gif")) else f"{name}.mp4"
    return Path(cfg.train_dir).expanduser() / str(cfg.experiment) / name


def _on_step(cfg: Config, render: Callable[[], object], fps: float, video: VideoWriter | None) -> Callable[[int], bool]:
    """What to do after each env step: show or record a frame, keep the pace, say when enough was seen."""
    frames = 0
    recorded_frames: float = cfg.video_frames if cfg.video_frames > 0 else _UNLIMITED
    # a video of N frames is all there is to do, unless episodes were asked for
    max_frames: float = cfg.max_num_frames
    if video is not None and cfg.max_num_episodes >= _UNLIMITED:
        max_frames = min(max_frames, recorded_frames)
    next_frame_s = time.monotonic()

    def on_step(num_ended: int) -> bool:
        nonlocal frames, next_frame_s
        frames += 1
        recorded = frames <= recorded_frames and not (cfg.video_frames < 0 and num_ended)
        if video is not None and recorded:
            video.write(render())  # type: ignore[arg-type]  # render_mode is rgb_array
        elif video is None and not cfg.no_render:
            render()
            next_frame_s = max(next_frame_s + 1 / fps, time.monotonic())
            time.sleep(max(0.0, next_frame_s - time.monotonic()))
        return frames < max_frames

    return on_step
