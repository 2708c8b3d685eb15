"""Options of the built-in encoders, memory, decoder and heads."""

from __future__ import annotations

from sf_core.cfg.option import BOOL, FLOAT, INT, STR, Option, OptionGroup

MODEL = OptionGroup(
    "model",
    "the built-in model",
    (
        Option(
            name="encoder_mlp_layers",
            type=INT,
            default=[512, 512],
            many=True,
            low=1,
            help="layers of the encoder of vectors",
        ),
        Option(
            name="encoder_conv_architecture",
            type=STR,
            default="convnet_simple",
            choices=("convnet_simple", "convnet_impala", "convnet_atari", "resnet_impala"),
            help="the encoder of images",
        ),
        Option(
            name="encoder_conv_mlp_layers",
            type=INT,
            default=[512],
            many=True,
            low=1,
            help="layers after the convolutions",
        ),
        Option(name="use_rnn", type=BOOL, default=True, help="a recurrent memory"),
        Option(name="rnn_size", type=INT, default=512, low=1, help="its hidden size"),
        Option(name="rnn_type", type=STR, default="gru", choices=("gru", "lstm"), help="its cell"),
        Option(name="rnn_num_layers", type=INT, default=1, low=1, help="its layers"),
        Option(
            name="decoder_mlp_layers",
            type=INT,
            default=[],
            many=True,
            low=1,
            help="layers between the memory and the heads",
        ),
        Option(
            name="nonlinearity", type=STR, default="elu", choices=("elu", "relu", "tanh"), help="activation function"
        ),
        Option(
            name="policy_initialization",
            type=STR,
            default="orthogonal",
            choices=("orthogonal", "xavier_uniform", "torch_default"),
            help="first weights of linear and convolutional layers",
            differs="torch_default leaves biases alone (there they are zeroed)",
        ),
        Option(name="policy_init_gain", type=FLOAT, default=1.0, above=0, help="their gain"),
        Option(
            name="policy_head_init_gain",
            type=FLOAT,
            default=None,
            above=0,
            help="gain of the layer that makes action logits, None: as the others; 0.01 lets a policy begin near the "
            "middle of its actions, which much of continuous control needs (Andrychowicz et al. 2021)",
        ),
        Option(
            name="actor_critic_share_weights",
            type=BOOL,
            default=True,
            help="one network for actor and critic, or two",
        ),
        Option(
            name="adaptive_stddev",
            type=BOOL,
            default=True,
            help="standard deviation of continuous actions: from the observation, or one learned vector",
        ),
        Option(
            name="initial_stddev",
            type=FLOAT,
            default=1.0,
            above=0,
            help="first standard deviation of the learned vector",
        ),
        Option(
            name="continuous_tanh_scale",
            type=FLOAT,
            default=0.0,
            low=0,
            help="s: means of continuous actions become s*tanh(mean/s), with the learned vector only; 0 means off",
        ),
    ),
)
