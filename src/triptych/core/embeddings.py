"""From ids to vectors and back, through one matrix.

Shapes: B batch, T positions, E model width, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ScaledEmbedding(nn.Module):
    """Embedding times √E, shared with the output projection — Vaswani et al. 2017, §3.4.

    The row of `pad_id` is exactly zero and receives no gradient: padding, and the
    start of a translation, begin from nothing but their position.
    """

    def __init__(self, vocab_size: int, d_model: int, pad_id: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        self.pad_id = pad_id
        self.scale = math.sqrt(d_model)

    def forward(self, token_ids: Tensor) -> Tensor:
        """token_ids [B, T] -> [B, T, E]."""
        return F.embedding(token_ids, self.weight, padding_idx=self.pad_id) * self.scale

    def logits(self, hidden: Tensor, bias: Tensor | None = None) -> Tensor:
        """hidden [B, T, E] -> [B, T, V], with the same matrix and no scale; bias [V]."""
        return F.linear(hidden, self.weight, bias)
