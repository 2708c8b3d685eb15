"""An environment in one file, without a package.

As a plugin:    sf-train -p examples/single_file_env.py --env=long_pole --pole_length=1.5
As a script:    python examples/single_file_env.py --env=long_pole --pole_length=1.5
"""

from sf_core import Arg, register_env


@register_env(
    "long_pole",
    summary="CartPole with a pole of any length",
    defaults={"use_rnn": False, "rollout": 32, "batch_size": 1024, "encoder_mlp_layers": [64, 64]},
    args=(Arg("--pole_length", float, 0.5, "half the length of the pole in metres"),),
)
def make_long_pole(full_env_name, cfg, env_config, render_mode=None):
    import gymnasium  # here, so that listing this file needs no simulator

    env = gymnasium.make("CartPole-v1", render_mode=render_mode)
    pole = env.unwrapped
    pole.length = cfg.pole_length
    pole.polemass_length = pole.masspole * pole.length
    return env


if __name__ == "__main__":
    import sys

    from sf_core import sf_train

    sys.exit(sf_train())
