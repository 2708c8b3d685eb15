"""Decoders: further layers between the core and the heads.

In: core outputs `[B, D]`. Out: decoder outputs `[B, D']`. Knows nothing of observations, memory or actions.
"""

from __future__ import annotations

from torch import Tensor, nn

from sf_core.model.layers import create_mlp, nonlinearity
from sf_core.utils.attr_dict import AttrDict


class Decoder(nn.Module):
    """Base of every decoder; a subclass defines `forward` and sets `decoder_out_size` or overrides `get_out_size`."""

    def __init__(self, cfg: AttrDict) -> None:
        super().__init__()
        self.cfg = cfg
        self.decoder_out_size = -1

    def get_out_size(self) -> int:
        """Size of the output vector, D'."""
        return self.decoder_out_size

    def forward(self, core_output: Tensor) -> Tensor:
        """`[B, D]` to `[B, D']`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(core_output)")


class MlpDecoder(Decoder):
    """Fully connected layers of sizes `--decoder_mlp_layers`; none by default, which is the identity."""

    def __init__(self, cfg: AttrDict, decoder_input_size: int) -> None:
        super().__init__(cfg)
        self.mlp = create_mlp(cfg.decoder_mlp_layers, decoder_input_size, nonlinearity(cfg))
        self.decoder_out_size = cfg.decoder_mlp_layers[-1] if cfg.decoder_mlp_layers else decoder_input_size

    def forward(self, core_output: Tensor) -> Tensor:
        """See the base class."""
        y: Tensor = self.mlp(core_output)
        return y


def make_decoder(cfg: AttrDict, input_size: int) -> Decoder:
    """The built-in decoder."""
    return MlpDecoder(cfg, input_size)
