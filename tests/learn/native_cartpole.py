"""CartPole as Gymnasium's own vector env, with the tuned defaults of the built-in one: a plugin of one file."""

from sf_core import register_env
from sf_core.plugins.builtin import CARTPOLE_DEFAULTS


def make_vector(full_env_name, cfg, env_configs, render_mode=None, **params):
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    return CartPoleVectorEnv(len(env_configs), render_mode=render_mode)


def make_single(full_env_name, cfg, env_config, render_mode=None):
    import gymnasium

    return gymnasium.make("CartPole-v1", render_mode=render_mode)


register_env("native_cartpole", make_single, vector_factory=make_vector, defaults=CARTPOLE_DEFAULTS)
