"""Encoder only — BERT, Devlin et al. 2018, Figure 2: three embeddings, then Block × N, PostNorm.

Shapes: B batch, T positions, E model width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.blocks import Block
from triptych.core.dropout import Dropout
from triptych.core.feed_forward import FeedForward
from triptych.core.initialization import initialize_bert
from triptych.core.masks import padding_mask
from triptych.core.positions import LearnedPositions
from triptych.core.residual import PostNorm
from triptych.errors import ConfigError, DataError

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # x Φ(x), exactly: what published PyTorch weights expect
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # the original code's approximation
    "relu": F.relu,
    "silu": F.silu,
}

SIZES = ("vocab_size", "d_model", "d_ff", "n_heads", "n_layers", "max_seq_len", "n_segments")


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape of an encoder; the paper's symbols in brackets (§3)."""

    vocab_size: int
    """Entries of the vocabulary, special tokens included [V]."""
    d_model: int = 768
    """Model width [H, here E]."""
    d_ff: int = 3072
    """Feed-forward width [4H]."""
    n_heads: int = 12
    """Heads of each attention [A]."""
    n_layers: int = 12
    """Blocks [L]."""
    dropout: float = 0.1
    """Probability of dropping, on embeddings and each sub-layer's output."""
    attention_dropout: float = 0.1
    """Probability of dropping an attention weight."""
    activation: str = "gelu"
    """Feed-forward activation: gelu, gelu_tanh, relu or silu."""
    max_seq_len: int = 512
    """Longest input, in tokens, special tokens included."""
    n_segments: int = 2
    """Sentences that an input may hold [A and B]."""
    pad_id: int
    """Padding: its embedding is zero at the beginning and nobody looks at it."""
    norm_eps: float = 1e-12
    """Added to the variance in each LayerNorm."""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ConfigError(f"activation is {self.activation!r}; choose one of {known}")
        for name in SIZES:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; choose it in [0, 1)")
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})"
            )
        if not 0 <= self.pad_id < self.vocab_size:
            raise ConfigError(
                f"pad_id is {self.pad_id}, outside the vocabulary of {self.vocab_size}"
            )


class Bert(nn.Module):
    """Token + segment + position embeddings, then Block × N under a padding mask."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        c = self.config = config
        attention = partial(MultiHeadAttention, c.d_model, c.n_heads, dropout=c.attention_dropout)
        feed_forward = partial(FeedForward, c.d_model, c.d_ff, ACTIVATIONS[c.activation])
        residual = partial(PostNorm, c.d_model, dropout=c.dropout, eps=c.norm_eps)

        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model, padding_idx=c.pad_id)
        self.segment_embedding = nn.Embedding(c.n_segments, c.d_model)
        self.positions = LearnedPositions(c.max_seq_len, c.d_model)
        self.norm = nn.LayerNorm(c.d_model, eps=c.norm_eps)
        self.dropout = Dropout(c.dropout)
        self.blocks = nn.ModuleList(
            Block(attention=attention, feed_forward=feed_forward, residual=residual)
            for _ in range(c.n_layers)
        )
        initialize_bert(self)

    def forward(
        self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor | None = None
    ) -> Tensor:
        """token_ids [B, T], valid [B, T] (True = real), segment_ids [B, T] (none = all of the
        first sentence) -> hidden [B, T, E]."""
        mask = padding_mask(valid)
        x = self.embed(token_ids, segment_ids)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def layers(
        self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor | None = None
    ) -> list[Tensor]:
        """As `forward`, with what every layer gives: embeddings first, then each block."""
        mask = padding_mask(valid)
        states = [self.embed(token_ids, segment_ids)]
        for block in self.blocks:
            states.append(block(states[-1], mask))
        return states

    def embed(self, token_ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        """The sum of the three embeddings, normalized — Figure 2. Raises DataError if too long."""
        n_positions = token_ids.size(1)
        if n_positions > self.config.max_seq_len:
            raise DataError(
                f"an input of {n_positions} tokens is longer than this model's limit of "
                f"{self.config.max_seq_len}; split it or cut it first"
            )
        segments = torch.zeros_like(token_ids) if segment_ids is None else segment_ids
        summed = self.token_embedding(token_ids) + self.segment_embedding(segments)
        summed = summed + self.positions(0, n_positions)
        return self.dropout(self.norm(summed))  # type: ignore[no-any-return]
