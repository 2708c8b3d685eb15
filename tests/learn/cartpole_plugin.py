"""CartPole as Gymnasium's own vector env, and an observer that ends a run once CartPole is solved: one-file plugin."""

from collections import deque

from sf_core import TrainingObserver, hookimpl, register_env
from sf_core.plugins.builtin import CARTPOLE_DEFAULTS
from sf_core.plugins.specs import ObserverSpec


def make_vector(full_env_name, cfg, env_configs, render_mode=None, **params):
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    return CartPoleVectorEnv(len(env_configs), render_mode=render_mode)


def make_single(full_env_name, cfg, env_config, render_mode=None):
    import gymnasium

    return gymnasium.make("CartPole-v1", render_mode=render_mode)


register_env("native_cartpole", make_single, vector_factory=make_vector, defaults=CARTPOLE_DEFAULTS)


class Solved(TrainingObserver):
    """Ends the run when the mean return of the last 50 episodes is 490."""

    def __init__(self, cfg):
        self._returns = deque(maxlen=50)

    def on_episodes(self, run, policy_id, stats):
        self._returns.extend(episode.reward for episode in stats)
        if len(self._returns) == 50 and sum(self._returns) >= 490 * 50:
            run.request_stop("solved")


@hookimpl
def sf_observers():
    yield ObserverSpec(name="solved", factory=f"{__name__}:Solved", summary="ends a run of CartPole when it is solved")
