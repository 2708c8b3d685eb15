"""A trained policy as one file that runs without sf_core, written only if it does what the policy does.

In: what `Policy.load` takes, a format, a path. Out: the file, and beside it `<file>.json`: names, shapes and dtypes of
inputs and outputs, the spaces, how the observations were made. Both are there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sf_core import __version__
from sf_core.cfg.groups.sampling import ENVIRONMENT
from sf_core.cfg.options import core_options
from sf_core.envs.spaces import space_to_json
from sf_core.model.checkpoint_files import SavedPolicy, load_saved_policy
from sf_core.model.loading import policy_of
from sf_core.model.policy import Policy
from sf_core.runner.files.run_folder import write_json
from sf_core.share.exported_step import ExportedStep, logits_layout
from sf_core.share.formats import FORMATS, ExportError, write
from sf_core.share.parity import Parity, compare, named_inputs, random_observation
from sf_core.utils.errors import UsageError

SCHEMA = 1
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    description: Path
    checkpoint: Path
    parity: Parity


def export(
    source: str | Path,
    format_name: str,
    path: Path,
    *,
    checkpoint_kind: str = "latest",
    plugins: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
) -> Exported:
    """Write the policy at `source` to `path`.

    Args:
        source: a run folder, a `checkpoint_p0` folder, or the folder of one checkpoint.
        format_name: `onnx` or `torch`.
        path: the file to write.
        checkpoint_kind: `latest` or `best`, where `source` holds several.
        plugins: as `-p`.
        tolerance: the largest difference from the policy, see `parity.py`.
        overwrite: replace what is at `path`.

    Raises:
        UsageError: there is no policy, a package is missing, or `path` is taken.
        ExportError: the network cannot be expressed in this format, or what was written is not the policy.
    """
    chosen = FORMATS[format_name]
    chosen.check_installed()
    description = path.with_name(f"{path.name}.json")
    if not overwrite:
        for taken in (path, description):
            if taken.exists():
                raise UsageError(f"{taken} is there already; name another file with --output, or add --overwrite")
    saved = load_saved_policy(source, checkpoint_kind)  # read once: the run may replace its checkpoint meanwhile
    policy = policy_of(Policy, saved, "cpu", plugins)
    partial = path.with_name(f".partial_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        run = write(ExportedStep(policy), _example(policy), format_name, partial)
        try:
            parity = compare(policy, run)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ExportError(
                f"what was exported as {format_name} does not run ({reason}), so it was not kept"
            ) from error
        if not parity.largest <= tolerance:
            worst = max(parity.difference, key=lambda name: parity.difference[name])
            raise ExportError(
                f"what was exported as {format_name} differs from the policy by {parity.largest:.2g} in {worst} "
                f"(--tolerance={tolerance:g}), so it was not kept"
            )
        facts = _description(policy, saved, format_name, path, hashlib.sha256(partial.read_bytes()).hexdigest(), parity)
        partial.replace(path)
        write_json(description, facts)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror or error}); name another file with --output"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return Exported(path, description, saved.path, parity)


def _example(policy: Policy) -> dict[str, torch.Tensor]:
    num_rows = 3  # one row would be taken for a constant
    observation = random_observation(policy, num_rows, np.random.default_rng(0))
    return named_inputs(observation, torch.zeros(num_rows, policy.rnn_size))


def _description(
    policy: Policy, saved: SavedPolicy, format_name: str, path: Path, sha256: str, parity: Parity
) -> dict[str, Any]:
    named = ExportedStep(policy)
    described = {name: {"shape": ["N", *shape], "dtype": dtype} for name, (dtype, shape) in parity.signature.items()}
    return {
        "schema": SCHEMA,
        "format": format_name,
        "file": path.name,
        "sha256": sha256,
        "inputs": {name: described[name] for name in named.input_names},
        "outputs": {name: described[name] for name in named.output_names},
        "action_logits": logits_layout(policy.layout),
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
        "env": _of_env(saved.facts["config"]),
        "trained": {
            "checkpoint": saved.path.name,
            "policy_version": policy.policy_version,
            "env_steps": saved.facts["env_steps"],
        },
        "largest_difference": parity.difference,
        "versions": {"sf-core": __version__, "torch": str(torch.__version__)},
    }


def _of_env(config: dict[str, Any]) -> dict[str, Any]:
    """How observations came about: the env, what every env is told, and the options of the run's components."""
    told = {option.name for option in ENVIRONMENT.options if not option.automatic}
    known = core_options()
    options = {name: value for name, value in config.items() if name in told or name not in known}
    return {"name": config.get("env"), **options}
