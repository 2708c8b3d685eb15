"""sf_core: a plugin-based, high-throughput reinforcement-learning framework (asynchronous PPO).

The rooms, in the order in which data meets the code; each imports only from those above it:

    utils       small tools                        plugins     who may join: specs, hooks, manager, plan
    cfg         what was asked: flags, checks      envs        where experience comes from
    model       observations to actions            rollout     what moves between sampler and learner
    sampler     fills slots with experience        learner     empties them and improves the policy
    runner      keeps it running                   eval        measures and records
    share       exported policies, the hub         train       run_rl(cfg)
    enjoy       watch a trained policy             cli         sf-train, sf-eval, sf-enjoy, sf-list,
    testing     envs and a policy whose every                  sf-status, sf-plot, sf-export, sf-hub
                number is known, for tests

Public names are imported on first use, so `import sf_core` costs nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # type checkers take this name for true; importing typing for it would cost more than this file
if TYPE_CHECKING:
    from typing import Any

    from sf_core._entry import sf_enjoy as sf_enjoy
    from sf_core._entry import sf_eval as sf_eval
    from sf_core._entry import sf_export as sf_export
    from sf_core._entry import sf_hub as sf_hub
    from sf_core._entry import sf_list as sf_list
    from sf_core._entry import sf_train as sf_train
    from sf_core.cfg.arguments import parse_full_cfg as parse_full_cfg
    from sf_core.cfg.arguments import parse_sf_args as parse_sf_args
    from sf_core.model.policy import Policy as Policy
    from sf_core.plugins.hookspecs import hookimpl as hookimpl
    from sf_core.plugins.observer import TrainingObserver as TrainingObserver
    from sf_core.plugins.script import global_model_factory as global_model_factory
    from sf_core.plugins.script import register_env as register_env
    from sf_core.plugins.specs import ActorCriticSpec as ActorCriticSpec
    from sf_core.plugins.specs import Arg as Arg
    from sf_core.plugins.specs import CoreSpec as CoreSpec
    from sf_core.plugins.specs import DecoderSpec as DecoderSpec
    from sf_core.plugins.specs import EncoderSpec as EncoderSpec
    from sf_core.plugins.specs import EnvSpec as EnvSpec
    from sf_core.plugins.specs import Metric as Metric
    from sf_core.plugins.specs import ObserverSpec as ObserverSpec
    from sf_core.plugins.specs import PluginUnavailable as PluginUnavailable
    from sf_core.plugins.specs import Preset as Preset
    from sf_core.plugins.specs import WrapperSpec as WrapperSpec
    from sf_core.train import run_rl as run_rl
    from sf_core.utils.errors import UsageError as UsageError
    from sf_core.utils.status import ExperimentStatus as ExperimentStatus

_HOME_OF = {
    "ActorCriticSpec": "sf_core.plugins.specs",
    "Arg": "sf_core.plugins.specs",
    "CoreSpec": "sf_core.plugins.specs",
    "DecoderSpec": "sf_core.plugins.specs",
    "EncoderSpec": "sf_core.plugins.specs",
    "EnvSpec": "sf_core.plugins.specs",
    "ExperimentStatus": "sf_core.utils.status",
    "Metric": "sf_core.plugins.specs",
    "ObserverSpec": "sf_core.plugins.specs",
    "PluginUnavailable": "sf_core.plugins.specs",
    "Policy": "sf_core.model.policy",
    "Preset": "sf_core.plugins.specs",
    "TrainingObserver": "sf_core.plugins.observer",
    "UsageError": "sf_core.utils.errors",
    "WrapperSpec": "sf_core.plugins.specs",
    "global_model_factory": "sf_core.plugins.script",
    "hookimpl": "sf_core.plugins.hookspecs",
    "parse_full_cfg": "sf_core.cfg.arguments",
    "parse_sf_args": "sf_core.cfg.arguments",
    "register_env": "sf_core.plugins.script",
    "run_rl": "sf_core.train",
    "sf_enjoy": "sf_core._entry",
    "sf_eval": "sf_core._entry",
    "sf_export": "sf_core._entry",
    "sf_hub": "sf_core._entry",
    "sf_list": "sf_core._entry",
    "sf_train": "sf_core._entry",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> "Any":
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
