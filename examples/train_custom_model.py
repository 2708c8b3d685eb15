"""Train with a model of your own from a script: the template for custom models, filled in.

    python examples/train_custom_model.py --env=CartPole-v1 --experiment=custom_model [--parts]

With `--parts` the encoder, core and decoder are used inside the built-in actor-critic; without, the whole custom
actor-critic is. Beside the `...` of the template, what had to be mended in it: the imports of `sys`, `torch.nn`, the
types and `run_rl` were missing, the body of `CustomActorCritic.__init__` was indented too little, `nn.Linear` lacked
its second size, `parse_args` was not defined, and its two ways to register exclude each other in one run.
"""

import sys

import torch
from torch import nn

from sf_core.algo.utils.context import global_model_factory
from sf_core.cfg.arguments import parse_full_cfg, parse_sf_args
from sf_core.model.actor_critic import ActorCritic
from sf_core.model.core import ModelCore
from sf_core.model.decoder import Decoder
from sf_core.model.encoder import Encoder
from sf_core.train import run_rl
from sf_core.utils.typing import ActionSpace, Config, ObsSpace


class CustomEncoder(Encoder):
    def __init__(self, cfg: Config, obs_space: ObsSpace):
        super().__init__(cfg)
        # build custom encoder architecture
        self.layer = nn.Linear(obs_space["obs"].shape[0], 32)

    def forward(self, obs_dict):
        # custom forward logic
        return torch.tanh(self.layer(obs_dict["obs"]))

    def get_out_size(self):
        return 32


class CustomCore(ModelCore):
    def __init__(self, cfg: Config, input_size: int):
        super().__init__(cfg)
        # build custom core architecture: a leaky average of what was seen
        self.core_output_size = input_size
        self.leak = nn.Parameter(torch.tensor(0.5))

    @property
    def state_size(self):
        return self.core_output_size

    def forward(self, head_output, rnn_states):
        # custom forward logic
        leak = torch.sigmoid(self.leak)
        rnn_states = leak * rnn_states + (1 - leak) * head_output
        return head_output + rnn_states, rnn_states


class CustomDecoder(Decoder):
    def __init__(self, cfg: Config, decoder_input_size: int):
        super().__init__(cfg)
        # build custom decoder architecture
        self.layer = nn.Linear(decoder_input_size, 64)
        self.decoder_out_size = 64

    def forward(self, core_output):
        # custom forward logic
        return torch.tanh(self.layer(core_output))


class CustomActorCritic(ActorCritic):
    def __init__(
        self,
        model_factory,
        obs_space: ObsSpace,
        action_space: ActionSpace,
        cfg: Config,
    ):
        super().__init__(obs_space, action_space, cfg)

        self.encoder = CustomEncoder(cfg, obs_space)
        self.core = CustomCore(cfg, self.encoder.get_out_size())
        self.decoder = CustomDecoder(cfg, self.core.get_out_size())
        self.critic_linear = nn.Linear(self.decoder.get_out_size(), 1)
        self.action_parameterization = self.get_action_parameterization(self.decoder.get_out_size())

    def forward(self, normalized_obs_dict, rnn_states, values_only=False):
        # forward logic
        head_output = self.encoder(normalized_obs_dict)
        core_output, new_rnn_states = self.core(head_output, rnn_states)
        decoder_output = self.decoder(core_output)
        result = {"values": self.critic_linear(decoder_output).squeeze(-1), "new_rnn_states": new_rnn_states}
        if not values_only:
            result["action_logits"], self.last_action_distribution = self.action_parameterization(decoder_output)
            self._maybe_sample_actions(True, result)
        return result


def register_model_components(parts: bool):
    # register custom components with the factory
    if parts:
        # individual components
        global_model_factory().register_encoder_factory(CustomEncoder)
        global_model_factory().register_core_factory(CustomCore)
        global_model_factory().register_decoder_factory(CustomDecoder)
    else:
        # or an entire Actor Critic model
        global_model_factory().register_actor_critic_factory(CustomActorCritic)


def parse_args(argv=None, evaluation=False):
    parser, partial_cfg = parse_sf_args(argv=argv, evaluation=evaluation)
    parser.add_argument("--parts", action="store_true", help="use the parts, not the whole actor-critic")
    return parse_full_cfg(parser, argv)


def main():
    """Script entry point."""
    register_model_components(parts="--parts" in sys.argv)
    cfg = parse_args()

    status = run_rl(cfg)
    return status


if __name__ == "__main__":
    sys.exit(main())
