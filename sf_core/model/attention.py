"""A core that looks back: attention over the last steps of the episode.

In: encoder outputs, one step or a segment, and a state vector per row. Out: core outputs and the new state. The state
holds what each layer was given in the last `window` steps, and which of these steps there were; zero means that there
were none, so an episode's start needs no case of its own. This file knows neither observations nor actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sf_core.model.core import ModelCore
from sf_core.model.layers import nonlinearity
from sf_core.utils.attr_dict import AttrDict
from sf_core.utils.errors import UsageError


class ModelCoreAttention(ModelCore):
    """Transformer layers whose memory are their own inputs of the last steps (Dai et al. 2019, Transformer-XL).

    Layers normalise what they read and add what they find (pre-norm; Parisotto et al. 2020 on why in reinforcement
    learning). Every step attends to itself and to the `window` steps before it, as far as they are of its episode; how
    long ago they were is a learned bias per head (Raffel et al. 2020). In a stack of layers a step so depends on up to
    `layers x window` steps.

    The state vector is the inputs of layer after layer, each `[window, size]`, oldest first, then `[window]` flags.

    Args:
        cfg: reads `attention_window`, `attention_size`, `attention_heads`, `attention_layers`.
        input_size: D.

    Raises:
        UsageError: the heads do not divide the size.
    """

    def __init__(self, cfg: AttrDict, input_size: int) -> None:
        super().__init__(cfg)
        self.window, size = int(cfg.attention_window), int(cfg.attention_size)
        heads, num_layers = int(cfg.attention_heads), int(cfg.attention_layers)
        if min(self.window, size, heads, num_layers) < 1 or size % heads:
            raise UsageError(
                f"--attention_size={size} cannot be shared by --attention_heads={heads} in "
                f"--attention_layers={num_layers} over --attention_window={self.window}; all must be positive, and the "
                "size a multiple of the heads"
            )
        self.size = self.core_output_size = size
        self.inner = nn.Linear(input_size, size)
        self.layers = nn.ModuleList(_AttentionLayer(cfg, size, heads, self.window) for _ in range(num_layers))
        self.norm = nn.LayerNorm(size)

    @property
    def state_size(self) -> int:
        """`window x (layers x size + 1)`."""
        return self.window * (len(self.layers) * self.size + 1)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        y, state = self._run(x.unsqueeze(0), state, torch.zeros(1, x.shape[0], dtype=torch.bool, device=x.device))
        return y.squeeze(0), state

    def forward_sequence(self, x: Tensor, state: Tensor, episode_start: Tensor) -> tuple[Tensor, Tensor]:
        """A whole segment in one call, also with episodes starting inside it.

        Args:
            x: `[T, B, D]`.
            state: `[B, H]`, enters step 0.
            episode_start: `[T, B]` bool; nothing from before such a step is seen from then on.

        Returns:
            `y [T, B, size]` and the state after the last step `[B, H]`.
        """
        return self._run(x, state.masked_fill(episode_start[0].unsqueeze(-1), 0.0), episode_start)

    def _run(self, x: Tensor, state: Tensor, episode_start: Tensor) -> tuple[Tensor, Tensor]:
        window, num_steps = self.window, x.shape[0]
        flat, there = state.split_with_sizes([state.shape[1] - window, window], dim=1)
        memories = flat.view(-1, len(self.layers), window, self.size)  # [B, layers, W, size]
        start = episode_start.clone()
        start[0] = False  # the state that enters is that of its episode by now
        episode = start.t().cumsum(1)  # [B, T]
        all_episodes = torch.cat([torch.zeros_like(there, dtype=episode.dtype), episode], dim=1)  # [B, W + T]
        exists = torch.cat([there > 0.5, torch.ones_like(episode, dtype=torch.bool)], dim=1)
        now = torch.arange(window, window + num_steps, device=x.device)
        age = now[:, None] - torch.arange(window + num_steps, device=x.device)  # [T, W + T] steps ago
        seen = (all_episodes[:, None] == episode[:, :, None]) & exists[:, None] & ((age >= 0) & (age <= window))

        y = self.inner(x).transpose(0, 1)  # [B, T, size]
        kept = exists[:, -window:] & (all_episodes[:, -window:] == episode[:, -1:])  # [B, W]
        remembered = []
        for index, layer in enumerate(self.layers):
            tokens = torch.cat([memories[:, index], y], dim=1)  # [B, W + T, size]
            remembered.append(torch.where(kept[..., None], tokens[:, -window:], 0.0).flatten(1))
            y = layer(tokens, seen, age.clamp(0, window))
        return self.norm(y).transpose(0, 1), torch.cat([*remembered, kept.to(state.dtype)], dim=1)


class _AttentionLayer(nn.Module):
    """`[B, W + T, size]`, of which the last T ask, to `[B, T, size]`."""

    def __init__(self, cfg: AttrDict, size: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, size)
        self.key_value = nn.Linear(size, 2 * size)
        self.bias_of_age = nn.Parameter(torch.zeros(heads, window + 1))
        self.found = nn.Linear(size, size)
        self.mlp = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, 2 * size), nonlinearity(cfg), nn.Linear(2 * size, size)
        )

    def forward(self, tokens: Tensor, seen: Tensor, age: Tensor) -> Tensor:
        """`seen` `[B, T, W + T]` bool: which tokens each step may look at; `age` `[T, W + T]` of each token."""
        num_steps = seen.shape[1]
        normalized = self.norm(tokens)
        query = self._split(self.query(normalized[:, -num_steps:]))  # [B, heads, T, size / heads]
        key, value = (self._split(part) for part in self.key_value(normalized).chunk(2, dim=-1))
        bias = self.bias_of_age[:, age].masked_fill(~seen[:, None], float("-inf"))  # [B, heads, T, W + T]
        found = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        y: Tensor = tokens[:, -num_steps:] + self.found(found.transpose(1, 2).flatten(2))
        deeper: Tensor = self.mlp(y)
        return y + deeper

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)
