"""The formats of an exported policy: how each is written, and how it is run again from its file.

In: an `ExportedStep`, example inputs, a path. Out: a file, and a function of numpy arrays that runs what the file
holds. Does not know where inputs come from, nor whether the results are right.

* onnx: one `.onnx` file, for onnxruntime and whatever else reads ONNX.
* torch: one `.pt2` file of `torch.export`, for torch without sf_core. (TorchScript is deprecated in torch and not
  supported from Python 3.14 on.)
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sf_core.share.exported_step import ExportedStep
from sf_core.utils.errors import UsageError

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


class ExportError(RuntimeError):
    """This policy cannot be exported, or what was exported is not the policy; one sentence."""


@dataclass(frozen=True)
class Format:
    """One way to write a policy down.

    Attributes:
        suffix: of the file.
        requires: modules that must be installed, with the command that installs them.
        write: the traced step to a path.
        open: a path to the function that the file holds.
    """

    suffix: str
    requires: tuple[str, ...]
    write: Callable[[torch.export.ExportedProgram, ExportedStep, Path], None]
    open: Callable[[Path], Run]

    def check_installed(self) -> None:
        """Refuse a format whose packages are absent (`UsageError`)."""
        missing = [name for name in self.requires if importlib.util.find_spec(name) is None]
        if missing:
            raise UsageError(f"{', '.join(missing)} cannot be imported; pip install 'sf-core[onnx]'")


def write(step: ExportedStep, inputs: Mapping[str, Tensor], format_name: str, path: Path) -> Run:
    """Write `step` to `path`, and open what was written.

    Args:
        step: what to write.
        inputs: of more than one row; they show dtypes and shapes.
        format_name: of `FORMATS`.
        path: where to.

    Raises:
        ExportError: the network does what this format cannot express.
    """
    try:
        with _quietly():
            FORMATS[format_name].write(_trace(step, inputs), step, path)
            return FORMATS[format_name].open(path)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else "no reason given"
        raise ExportError(
            f"this policy cannot be exported as {format_name} ({type(error).__name__}: {reason}); a network is "
            "exported if torch.export can trace it: no if or loop over values of tensors, no numpy, any batch size"
        ) from error


def _trace(step: ExportedStep, inputs: Mapping[str, Tensor]) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    dynamic: dict[str, dict[int, Any]] = {name: {0: batch} for name in inputs}
    with torch.no_grad():  # else every no_grad inside becomes a part of the graph
        return torch.export.export(step, (dict(inputs),), dynamic_shapes=(dynamic,), strict=False)


def _write_torch(program: torch.export.ExportedProgram, step: ExportedStep, path: Path) -> None:
    torch.export.save(program, path)


def _open_torch(path: Path) -> Run:
    module = torch.export.load(path).module()

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            outputs = module({name: torch.as_tensor(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return run


def _write_onnx(program: torch.export.ExportedProgram, step: ExportedStep, path: Path) -> None:
    exported = torch.onnx.export(
        program,
        (),
        input_names=step.input_names,
        output_names=step.output_names,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert exported is not None  # which it is only for the older exporter
    exported.save(str(path))


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxruntime", "onnxscript"), _write_onnx, _open_onnx),
    "torch": Format(".pt2", (), _write_torch, _open_torch),
}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Exporters warn about their own insides, at length, and print graphs of what they cannot do."""
    chatty = [logging.getLogger(name) for name in ("torch", "torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in chatty]
    try:
        for logger in chatty:
            logger.setLevel(logging.ERROR)
        heard = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)
