"""Random states of this process as JSON, and back.

In: generators. Out: a dict of plain strings and numbers. Nothing is pickled and nothing is evaluated.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sf_core.utils.log import log


def capture_random_state(generators: Mapping[str, torch.Generator] | None = None) -> dict[str, Any]:
    """The state of Python's, numpy's and torch's global generators and of the named ones."""
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)
    return {
        "python": {"version": version, "state": list(internal), "gauss": gauss},
        "numpy": {
            "key": [int(word) for word in legacy["state"]["key"]],
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
        "torch": _encode(torch.get_rng_state()),
        "cuda": [_encode(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "generators": {name: _encode(generator.get_state()) for name, generator in (generators or {}).items()},
    }


def restore_random_state(state: Mapping[str, Any], generators: Mapping[str, torch.Generator] | None = None) -> bool:
    """Put back what `capture_random_state` returned.

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
