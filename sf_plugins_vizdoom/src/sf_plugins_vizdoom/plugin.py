"""What this package offers to sf_core: the `doom_*` environments, `doom:` for any scenario file, an encoder.

Imported by every `sf-list` and `--help`, hence thin: the standard library and sf_core only. The game engine is
imported by the factory, in the process that plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sf_core import Arg, EncoderSpec, EnvSpec, Metric, hookimpl
from sf_plugins_vizdoom import scenarios
from sf_plugins_vizdoom.tasks import TASKS, Task

if TYPE_CHECKING:
    from sf_core.plugins.plan import RunPlan

DEFAULTS: dict[str, Any] = {
    # Sample Factory's for Doom; what it leaves at the core's defaults (GRU of 512, convnet_simple, rollout 32,
    # batches of 1024, learning rate 1e-4) is not repeated.
    "env_frameskip": 4,
    "obs_subtract_mean": 0.0,
    "obs_scale": 255.0,
    "normalize_input": True,
    "normalize_returns": True,
    "ppo_clip_value": 0.2,
    "exploration_loss": "symmetric_kl",
    "exploration_loss_coeff": 0.001,
    "heartbeat_reporting_interval": 600,
}

SCREEN_ARGS = (
    Arg("--res_w", int, 128, "width of the observation in pixels"),
    Arg("--res_h", int, 72, "height of the observation in pixels"),
    Arg("--wide_aspect_ratio", bool, False, "render 256x144 instead of 160x120 before shrinking: a wider view"),
    Arg("--doom_resolution", str, None, "what the engine renders before shrinking, as 320x240; overrules the above"),
    Arg("--timelimit", float, None, "minutes of game time after which an episode is truncated; None = the scenario's"),
    Arg("--record_to", str, None, "directory where the first environment records demos, for sf_plugins_vizdoom.demo"),
    Arg("--doom_scenarios_dir", str, None, f"directory of maps, looked into first; also ${scenarios.VARIABLE}"),
)

PLAYER_ARGS = (
    Arg("--num_agents", int, -1, "agents in one game; -1 = the scenario's"),
    Arg("--num_bots", int, -1, "players in one game that the game plays itself; -1 = the scenario's"),
    Arg("--num_humans", int, 0, "Sample Factory's flag for people in the game; only 0, nobody, is possible"),
    Arg("--bot_difficulty", int, None, "0 (helpless) to 100; None = the engine's own bots, of mixed ability"),
)

CUSTOM_ARGS = (
    Arg(
        "--doom_actions",
        str,
        "tuple",
        "flat: one button at a time; tuple: a head for each group of buttons that exclude one another",
        choices=("flat", "tuple"),
    ),
    Arg("--doom_measurements", bool, False, "observe the scenario's available_game_variables beside the screen"),
)

UNSHAPED = Metric("unshaped_return", "points", "return before shaping")
STANDINGS = (
    Metric("frags", "", "kills of players, minus suicides"),
    Metric("deaths"),
    Metric("kdr", "", "frags / (deaths + 1)"),
    Metric("final_place", "", "1 is the leader"),
    Metric("leader_gap", "frags", "of the leader, or of the second if ahead: below zero"),
)


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """Offer the scenarios by Sample Factory's names, the others of the vizdoom package, and any scenario file."""
    for name, task in TASKS.items():
        yield EnvSpec(
            name=name,
            factory="sf_plugins_vizdoom.env:make_doom_env",
            params={"task": name},
            requires=("vizdoom",),
            missing=task.wad if task.wad in scenarios.SHA256 and scenarios.find(task.wad) is None else "",
            fix=scenarios.FETCH_COMMAND if task.wad in scenarios.SHA256 else "",
            supplied_by="doom_scenarios_dir",
            summary=f"ViZDoom: {task.summary}",
            tags=_tags(task),
            defaults=_defaults(task),
            args=SCREEN_ARGS + (PLAYER_ARGS if task.is_multiplayer else ()),
            metrics=((UNSHAPED,) if task.shaping else ()) + (STANDINGS if "FRAGCOUNT" in task.variables else ()),
        )
    yield EnvSpec(
        name="doom:",
        family=True,
        factory="sf_plugins_vizdoom.env:make_custom_env",
        requires=("vizdoom",),
        summary="ViZDoom: any scenario by its file, doom:path/to/scenario.cfg (or one that ships with vizdoom)",
        tags=("doom", "image"),
        defaults=DEFAULTS,
        args=SCREEN_ARGS + PLAYER_ARGS + CUSTOM_ARGS,
    )


@hookimpl
def sf_encoders() -> Iterator[EncoderSpec]:
    """Offer the encoder for a screen with measurements."""
    yield EncoderSpec(
        name="doom_measurements",
        factory="sf_plugins_vizdoom.encoder:DoomMeasurementsEncoder",
        accepts="sf_plugins_vizdoom.measurements:are_beside_a_screen",
        requires=("torch",),
        summary="the image encoder and two layers of 128 for the measurements",
    )


@hookimpl
def sf_report_header(cfg: Mapping[str, Any], plan: RunPlan) -> Iterable[str]:
    """Name the engine and the scenario a run plays."""
    if not str(plan.env.factory).startswith(f"{__package__}."):  # only the encoder is used, or -p asked for nothing
        return []
    try:
        engine = f"vizdoom {version('vizdoom')}"
    except PackageNotFoundError:
        engine = "vizdoom of unknown version"
    task = plan.env.params.get("task")
    if task is None:
        return [engine]
    wad = TASKS[task].wad
    return [f"{engine}, scenario {scenarios.find(wad, cfg.get('doom_scenarios_dir')) or wad}"]


def _defaults(task: Task) -> dict[str, Any]:
    defaults = dict(DEFAULTS)
    if task.measurements:
        defaults["encoder"] = "doom_measurements"
    return defaults


def _tags(task: Task) -> tuple[str, ...]:
    actions = "continuous" if task.is_continuous else "discrete"
    return ("doom", actions, "image", *(("multiagent",) if task.num_agents > 1 else ()))
