"""Names for annotations in user code, as Sample Factory has them. Nothing is imported for them at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sf_core.utils.attr_dict import AttrDict

if TYPE_CHECKING:
    import gymnasium

    ActionSpace: TypeAlias = gymnasium.Space[Any]
    ObsSpace: TypeAlias = gymnasium.spaces.Dict
    Env: TypeAlias = gymnasium.Env[Any, Any]
else:
    ActionSpace = ObsSpace = Env = Any

Config: TypeAlias = AttrDict
PolicyID: TypeAlias = int
