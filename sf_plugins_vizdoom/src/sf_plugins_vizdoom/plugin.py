"""What this package offers to sf_core: the `doom_*` environments.

Imported by every `sf-list` and `--help`, hence thin: the standard library and sf_core only. The game engine is
imported by the factory, in the process that plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sf_core import Arg, EnvSpec, hookimpl

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

ARGS = (
    Arg("--res_w", int, 128, "width of the observation in pixels"),
    Arg("--res_h", int, 72, "height of the observation in pixels"),
    Arg("--wide_aspect_ratio", bool, False, "render 256x144 instead of 160x120 before shrinking: a wider view"),
)


@hookimpl
def sf_environments() -> Iterator[EnvSpec]:
    """Offer the scenarios by Sample Factory's names."""
    yield EnvSpec(
        name="doom_basic",
        factory="sf_plugins_vizdoom.env:make_doom_env",
        params={"scenario": "basic.cfg", "reward_scale": 0.01},
        requires=("vizdoom",),
        summary="ViZDoom: shoot the monster on the other side of a room",
        tags=("doom", "discrete", "image"),
        defaults=DEFAULTS,
        args=ARGS,
    )


@hookimpl
def sf_report_header(cfg: Mapping[str, Any], plan: RunPlan) -> Iterable[str]:
    """Name the engine and the scenario a run plays."""
    try:
        engine = f"vizdoom {version('vizdoom')}"
    except PackageNotFoundError:
        engine = "vizdoom of unknown version"
    scenario = plan.env.params.get("scenario")
    return [f"{engine}, scenario {scenario}" if scenario else engine]
