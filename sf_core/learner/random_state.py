"""Random states of this process as JSON, and back.

In: generators. Out: a dict of plain strings and numbers. Nothing is pickled and nothing is evaluated. Taking a state is
cheap enough for every training iteration; only writing it as JSON is not.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sf_core.utils.log import log


@dataclass(frozen=True, slots=True, eq=False)
class RandomState:
    """The state of Python's, numpy's and torch's global generators and of named ones, at one moment."""

    of_python: tuple[Any, ...]
    of_numpy: Any
    of_torch: torch.Tensor
    of_cuda: list[torch.Tensor]
    generators: dict[str, torch.Tensor]

    @classmethod
    def now(cls, generators: Mapping[str, torch.Generator]) -> RandomState:
        """The present one."""
        return cls(
            of_python=random.getstate(),
            of_numpy=np.random.get_state(legacy=False),
            of_torch=torch.get_rng_state(),
            of_cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            generators={name: generator.get_state() for name, generator in generators.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """What `restore_random_state` takes."""
        version, internal, gauss = self.of_python
        return {
            "python": {"version": version, "state": list(internal), "gauss": gauss},
            "numpy": {
                "key": [int(word) for word in self.of_numpy["state"]["key"]],
                "pos": int(self.of_numpy["state"]["pos"]),
                "has_gauss": int(self.of_numpy["has_gauss"]),
                "gauss": float(self.of_numpy["gauss"]),
            },
            "torch": _encode(self.of_torch),
            "cuda": [_encode(state) for state in self.of_cuda],
            "generators": {name: _encode(state) for name, state in self.generators.items()},
        }


def capture_random_state(generators: Mapping[str, torch.Generator] | None = None) -> dict[str, Any]:
    """The present state of the global generators and of the named ones, as JSON."""
    return RandomState.now(generators or {}).to_json()


def restore_random_state(state: Mapping[str, Any], generators: Mapping[str, torch.Generator] | None = None) -> bool:
    """Put back what `capture_random_state` or `RandomState.to_json` returned.

    Returns:
        True where everything was restored. States of other devices or of generators that were not saved are left alone.
    """
    python, legacy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["state"]), python["gauss"]))
    key = np.array(legacy["key"], dtype=np.uint32)
    np.random.set_state(("MT19937", key, legacy["pos"], legacy["has_gauss"], legacy["gauss"]))
    torch.set_rng_state(_decode(state["torch"]))
    complete = True
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_decode(text) for text in state["cuda"]])
    elif state["cuda"] or torch.cuda.is_available():
        complete = False
    for name, generator in (generators or {}).items():
        saved = state["generators"].get(name)
        try:
            generator.set_state(_decode(saved))
        except (RuntimeError, TypeError):  # never saved, or saved on another kind of device
            log.debug("The random state of %s could not be restored.", name)
            complete = False
    return complete


def _encode(state: torch.Tensor) -> str:
    return base64.b64encode(state.cpu().numpy().tobytes()).decode("ascii")


def _decode(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
