"""What a person sees while a run lasts: a live panel in a terminal, plain lines elsewhere.

In: reports. Out: text. Also routes the log so that its lines stand above the live panel instead of through it.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.logging import RichHandler
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sf_core.cfg.config import Config
from sf_core.runner.reports.statistics import time_shares
from sf_core.runner.reports.summaries import Report
from sf_core.utils.log import log
from sf_core.utils.readable import duration, number

_BARS = "▁▂▃▄▅▆▇█"
_BAR = 6  # characters of a bar of the time breakdown
_COLOURS = {"env": "yellow", "inference": "magenta", "learner": "cyan"}
_MOST_STATS = 4


class Display(Protocol):
    """Shows reports."""

    interval_s: float
    """Seconds between reports that are worth showing."""

    def start(self) -> None:
        """Begin to show; take over the log's output."""

    def show(self, report: Report) -> None:
        """Show the newest state."""

    def stop(self) -> None:
        """Show nothing more and give the log's output back."""


def make_display(cfg: Config, console: Console | None = None) -> Display:
    """The live panel where the output is a terminal, else plain lines."""
    console = console or Console()
    return LiveDisplay(cfg, console) if console.is_terminal else PlainDisplay(cfg, console)


class _LogRoute:
    """Sends the log to `handler` between start and stop, unless the program that calls us configured logging itself."""

    def __init__(self, handler: logging.Handler, verbose: bool) -> None:
        handler.setLevel(logging.DEBUG if verbose else logging.INFO)
        self._handler = handler
        self._active = False

    def start(self) -> None:
        if log.hasHandlers():
            return
        log.addHandler(self._handler)
        log.setLevel(min(log.level or logging.INFO, logging.INFO))
        self._active = True

    def stop(self) -> None:
        if self._active:
            log.removeHandler(self._handler)
            self._active = False


class PlainDisplay:
    """One line per report, for files and pipes."""

    interval_s = 5.0

    def __init__(self, cfg: Config, console: Console) -> None:
        self._cfg = cfg
        self._console = console
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("[%(levelname).1s %(asctime)s] %(message)s", "%H:%M:%S"))
        self._route = _LogRoute(handler, bool(cfg.get("verbose")))

    def start(self) -> None:
        """Take over the log's output."""
        self._route.start()

    def show(self, report: Report) -> None:
        """Print one line."""
        print(plain_line(report, self._cfg), file=self._console.file, flush=True)

    def stop(self) -> None:
        """Give the log's output back."""
        self._route.stop()


def plain_line(report: Report, cfg: Config) -> str:
    """`env_steps 12,800 (4.3 %) | fps 9,800 | return 23.1 | length 23 | version 20 | env 40 %, ... | left 0:00:31`."""
    done, left_s = progress(report, cfg)
    parts = [
        f"env_steps {report.env_steps:,} ({100 * done:.1f} %)",
        f"fps {', '.join(speeds(report))}",
        f"return {number(report.reward_mean)}",
        f"length {number(report.episode_length_mean)}",
        f"episodes {report.episodes:,}",
        f"policy version {report.policy_version:,}",
        lag_words(report),
        ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares(report)),
        f"left {duration(left_s)}",
    ]
    return " | ".join(filter(None, parts))


class LiveDisplay:
    """A panel that is redrawn in place: progress, return with its recent course, speed, time breakdown."""

    interval_s = 0.5

    def __init__(self, cfg: Config, console: Console) -> None:
        self._cfg = cfg
        self._console = console
        self._returns: deque[float] = deque(maxlen=40)
        self._next_point_s = 0.0
        self._live = Live(console=console, refresh_per_second=4, transient=False)
        handler = RichHandler(console=console, show_path=False, markup=False, log_time_format="%H:%M:%S")
        self._route = _LogRoute(handler, bool(cfg.get("verbose")))

    def start(self) -> None:
        """Begin to draw; log lines appear above the panel."""
        self._route.start()
        self._live.start()

    def show(self, report: Report) -> None:
        """Redraw with the newest numbers."""
        if report.seconds >= self._next_point_s and math.isfinite(report.reward_mean):
            self._returns.append(report.reward_mean)
            # one point of the sparkline per 1/200 of the time so far: of a long run it shows the last fifth
            self._next_point_s = report.seconds * 1.005 + 1.0
        self._live.update(self._panel(report))

    def stop(self) -> None:
        """Leave the last panel on the screen and give the log's output back."""
        self._live.stop()
        self._route.stop()

    def _panel(self, report: Report) -> Panel:
        done, left_s = progress(report, self._cfg)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=1.0, completed=done, width=36),
            Text(f"{100 * done:5.1f} %", style="bold"),
            Text(so_far(report, self._cfg)),
            Text(f"left {duration(left_s)}", style="cyan"),
        )
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", justify="right")
        table.add_column()
        table.add_row("return", self._return_line(report))
        table.add_row("episode", f"length {number(report.episode_length_mean)}   finished {report.episodes:,}")
        if stats := stats_line(report):
            table.add_row("stats", stats)
        table.add_row("speed", self._speed_line(report))
        table.add_row("time", breakdown(report))
        if report.bottleneck:
            table.add_row("limit", Text(report.bottleneck, style="dim"))
        if data := data_line(report):
            table.add_row("samples", data)
        if report.training:
            table.add_row("policy", policy_line(report))
            table.add_row("update", update_line(report))
        title = f"[bold]{self._cfg.env}[/bold]  {self._cfg.experiment}"
        return Panel(Group(bar, table), title=title, title_align="left", border_style="blue", expand=False)

    def _return_line(self, report: Report) -> Text:
        spread = report.spreads.get("reward")
        if spread is None:
            return Text("no episode has finished yet", style="dim")
        text = Text(f"{number(spread.mean):>8} ", style="bold green")
        text.append(sparkline(list(self._returns)), style="green")
        text.append(f"  from {number(spread.minimum)} to {number(spread.maximum)}", style="dim")
        return text

    def _speed_line(self, report: Report) -> Text:
        now, *earlier = speeds(report)
        text = Text(f"{now} env steps/s")
        text.append("".join(f"   {speed}" for speed in earlier), style="dim")
        text.append(f"   run time {duration(report.seconds)}", style="dim")
        return text


def speeds(report: Report) -> list[str]:
    """Env steps per second now and, once a run is old enough, over the last minute and the last five."""
    windows = ((0, ""), (60, "1 min "), (300, "5 min "))
    pairs = zip(report.fps, windows, strict=True)
    return [f"{name}{number(fps)}" for fps, (length_s, name) in pairs if report.seconds >= length_s]


def stats_line(report: Report) -> str:
    """What the env reports of its episodes, the first few of it."""
    own = [f"{name} {number(spread.mean)}" for name, spread in report.spreads.items() if name not in ("reward", "len")]
    more = f"and {len(own) - _MOST_STATS} more" if len(own) > _MOST_STATS else ""
    return "   ".join(filter(None, (*own[:_MOST_STATS], more)))


def policy_line(report: Report) -> str:
    """What the policy is like now."""
    return "   ".join((f"version {report.policy_version:,}", *_training(report, {"lr": "lr", "entropy": "entropy"})))


def update_line(report: Report) -> str:
    """The few numbers of the last iteration that tell a healthy run from a sick one."""
    return "   ".join(
        _training(report, {"kl_divergence": "kl", "value_loss": "value loss", "grad_norm": "gradient norm"})
    )


def _training(report: Report, labels: Mapping[str, str]) -> Iterator[str]:
    for tag, label in labels.items():
        if (value := report.training.get(f"train/{tag}")) is not None:
            yield f"{label} {value:.3g}"


def breakdown(report: Report) -> Text:
    """Share of the time of each part, with a small bar of constant width, so that nothing jumps about."""
    text = Text()
    for name, share in shares(report):
        colour = _COLOURS.get(name)
        text.append(f"{name} ", style="dim")
        if colour:
            full = round(share * _BAR)
            text.append("█" * full, style=colour)
            text.append("░" * (_BAR - full) + " ", style="dim")
        text.append(f"{100 * share:2.0f} %   ")
    return text


def shares(report: Report) -> list[tuple[str, float]]:
    """Fraction of the time spent in each part, what is left over last."""
    return sorted(time_shares(report.time_s).items(), key=lambda pair: pair[0] == "other")


def data_line(report: Report) -> str:
    """How old the samples are, how many are masked and why, and what waits; nothing where all is as it always is."""
    parts = list(filter(None, (lag_words(report),)))
    fates = {name.removeprefix("samples_"): count for name, count in report.counters.items() if "samples_" in name}
    if total := sum(fates.values()):
        masked = {name: count for name, count in fates.items() if name != "trained" and count}
        reasons = ", ".join(f"{name.replace('_', ' ')} {100 * count / total:.1f} %" for name, count in masked.items())
        if reasons:
            parts.append(f"masked {reasons}")
    if "slots_ready" in report.counters:
        counters = report.counters  # rollouts wait for the learner, groups of envs for slots
        parts.append(f"waiting: {counters['slots_ready']} rollouts, {counters['groups_waiting']} groups")
    return "   ".join(parts)


def lag_words(report: Report) -> str:
    """`policy lag 0 to 4, mean 1.2`; empty where collecting and training take turns, so that there is none."""
    lag = report.policy_lag
    if not lag.maximum > 0:
        return ""
    return f"policy lag {lag.minimum:,.0f} to {lag.maximum:,.0f}, mean {number(lag.mean)}"


def progress(report: Report, cfg: Config) -> tuple[float, float]:
    """How much of the budget is used (0 to 1) and the seconds left, by whichever limit comes first."""
    by_steps = report.env_steps / cfg.train_for_env_steps
    by_time = report.seconds / cfg.train_for_seconds
    steps_left_s = (cfg.train_for_env_steps - report.env_steps) / report.fps[1] if report.fps[1] > 0 else math.nan
    time_left_s = cfg.train_for_seconds - report.seconds
    left_s = time_left_s if math.isnan(steps_left_s) else min(steps_left_s, time_left_s)
    return min(1.0, max(by_steps, by_time)), max(0.0, left_s)


def so_far(report: Report, cfg: Config) -> str:
    """What is done of the budget, by whichever limit comes first."""
    if report.seconds / cfg.train_for_seconds > report.env_steps / cfg.train_for_env_steps:
        return f"{report.env_steps:,} env steps, {duration(report.seconds)} of {duration(cfg.train_for_seconds)}"
    return f"{report.env_steps:,} of {cfg.train_for_env_steps:,} env steps"


def sparkline(values: list[float]) -> str:
    """The course of a number in block characters, lowest to highest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)
