"""From script to plugin: what the three scripts register when they are run, offered by an installed package.

A `parser.set_defaults` of a script becomes `defaults`, a `parser.add_argument` becomes an entry of `args`;
environments and models stay as they are.
"""

from sf_core import ActorCriticSpec, Arg, CoreSpec, DecoderSpec, EncoderSpec, EnvSpec, hookimpl


@hookimpl
def sf_environments():
    yield EnvSpec(
        name="custom_env_name",
        factory="templates_plugin.train_custom_env:make_custom_env",
        summary="say on which side of a noisy picture the bright column stands",
        defaults={
            "encoder_conv_architecture": "convnet_atari",
            "obs_scale": 255.0,
            "gamma": 0.99,
            "learning_rate": 0.00025,
            "lr_schedule": "linear_decay",
            "adam_eps": 1e-5,
        },
        args=(Arg("--custom_argument", str, "value", "double pays twice as much"),),
    )
    yield EnvSpec(
        name="matching_game",
        factory="templates_plugin.train_custom_multi_env:make_matching_game",
        summary="two agents are paid when both answer with the signal they see",
        defaults={
            "use_rnn": False,
            "encoder_mlp_layers": [32],
            "batch_size": 512,
            "num_epochs": 4,
            "learning_rate": 0.003,
            "gamma": 0.5,
        },
    )


@hookimpl
def sf_encoders():
    yield EncoderSpec(
        name="custom_encoder", factory="templates_plugin.train_custom_model:CustomEncoder", summary="one layer"
    )


@hookimpl
def sf_cores():
    yield CoreSpec(
        name="custom_core", factory="templates_plugin.train_custom_model:CustomCore", summary="a leaky average"
    )


@hookimpl
def sf_decoders():
    yield DecoderSpec(
        name="custom_decoder", factory="templates_plugin.train_custom_model:CustomDecoder", summary="one layer"
    )


@hookimpl
def sf_actor_critics():
    yield ActorCriticSpec(
        name="custom_actor_critic",
        factory="templates_plugin.train_custom_model:CustomActorCritic",
        summary="all of these parts, in a network of its own",
    )
