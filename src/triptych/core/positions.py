"""Where a token stands. Attention alone is blind to order.

Shapes: B batch, T positions, E model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_table(n_positions: int, d_model: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/E)), PE(pos, 2i+1) = cos(the same)  — §3.5.

    Sine and cosine are interleaved, as printed in Vaswani et al. 2017. Computed
    in float64 and returned [n_positions, E] in float32.
    """
    positions = torch.arange(n_positions, dtype=torch.float64)[:, None]
    even = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions / 10_000.0 ** (even / d_model)  # [T, ceil(E / 2)]
    table = torch.empty(n_positions, d_model, dtype=torch.float64)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : d_model // 2]
    return table.float()


class SinusoidalPositions(nn.Module):
    """The paper's fixed waves; no parameters, and never in a saved model."""

    table: Tensor

    def __init__(self, max_seq_len: int, d_model: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoidal_table(max_seq_len, d_model), persistent=False)

    def reset_buffers(self) -> None:
        """Compute the waves, which no file holds, for a module that was made without memory."""
        self.table = sinusoidal_table(*self.table.shape)

    def forward(self, start: int, length: int) -> Tensor:
        """[length, E] for the positions start … start + length - 1."""
        return self.table[start : start + length]


class LearnedPositions(nn.Module):
    """One trained vector a position — BERT and GPT."""

    def __init__(self, max_seq_len: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_seq_len, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, start: int, length: int) -> Tensor:
        """[length, E] for the positions start … start + length - 1."""
        return self.weight[start : start + length]

    def at(self, positions: Tensor) -> Tensor:
        """positions [B, T] -> [B, T, E]."""
        return F.embedding(positions, self.weight)


def count_positions(valid: Tensor) -> Tensor:
    """valid [B, T], True on real tokens -> [B, T]: how many real ones stand before each.

    Padding takes no position; what stands there is that of a token before, or 0.
    """
    return (valid.long().cumsum(dim=1) - 1).clamp(min=0)
