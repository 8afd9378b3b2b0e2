"""Encoder-decoder — Vaswani et al. 2017, Figure 1. Left half `encode`, right half `decode`.

Shapes: B batch, S source positions, T target positions, E model width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.blocks import Block, CrossBlock
from triptych.core.cache import DecoderCache
from triptych.core.dropout import Dropout
from triptych.core.embeddings import ScaledEmbedding
from triptych.core.feed_forward import FeedForward
from triptych.core.initialization import initialize_vaswani
from triptych.core.masks import causal_mask, padding_mask
from triptych.core.positions import SinusoidalPositions
from triptych.core.residual import PostNorm
from triptych.errors import ConfigError, DataError

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,  # the paper's
    "silu": F.silu,  # most OPUS-MT models
    "gelu": F.gelu,
}

SIZES = (
    *("vocab_size", "d_model", "d_ff", "n_heads"),
    *("n_encoder_layers", "n_decoder_layers", "max_seq_len"),
)


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderConfig:
    """The shape of an encoder-decoder; the paper's symbols in brackets (table 3)."""

    vocab_size: int
    """Entries of the joint vocabulary, special tokens included [V]."""
    d_model: int = 512
    """Model width [d_model, here E]."""
    d_ff: int = 2048
    """Feed-forward width [d_ff]."""
    n_heads: int = 8
    """Heads of each attention [h]."""
    n_encoder_layers: int = 6
    """Blocks on the left of Figure 1 [N]."""
    n_decoder_layers: int = 6
    """Blocks on the right of Figure 1 [N]."""
    dropout: float = 0.1
    """Probability of dropping, on embeddings and each sub-layer's output [P_drop]."""
    activation: str = "relu"
    """Feed-forward activation: relu, silu or gelu."""
    max_seq_len: int = 1024
    """Longest source or target, in tokens [n]."""
    pad_id: int
    """Padding: its embedding is zero and it is never predicted."""
    eos_id: int
    """End of sentence, the last token of every source and target."""
    start_id: int
    """What the decoder reads first."""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ConfigError(f"activation is {self.activation!r}; choose one of {known}")
        for name in SIZES:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})"
            )
        for name in ("pad_id", "eos_id", "start_id"):
            if not 0 <= getattr(self, name) < self.vocab_size:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, outside the vocabulary of {self.vocab_size}"
                )


class EncoderDecoder(nn.Module):
    """Block × N, then CrossBlock × N, both PostNorm, one embedding for all three places."""

    final_logits_bias: Tensor

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        c = self.config = config
        attention = partial(MultiHeadAttention, c.d_model, c.n_heads)
        feed_forward = partial(FeedForward, c.d_model, c.d_ff, ACTIVATIONS[c.activation])
        residual = partial(PostNorm, c.d_model, dropout=c.dropout)

        self.embedding = ScaledEmbedding(c.vocab_size, c.d_model, c.pad_id)
        self.positions = SinusoidalPositions(c.max_seq_len, c.d_model)
        self.dropout = Dropout(c.dropout)
        self.encoder = nn.ModuleList(
            Block(attention=attention, feed_forward=feed_forward, residual=residual)
            for _ in range(c.n_encoder_layers)
        )
        self.decoder = nn.ModuleList(
            CrossBlock(attention=attention, feed_forward=feed_forward, residual=residual)
            for _ in range(c.n_decoder_layers)
        )
        # Marian's models carry one; ours keep it at zero.
        self.register_buffer("final_logits_bias", torch.zeros(c.vocab_size))
        initialize_vaswani(self)

    def forward(self, source_ids: Tensor, source_valid: Tensor, target_ids: Tensor) -> Tensor:
        """source_ids [B, S], source_valid [B, S] (True = real), target_ids [B, T]
        -> hidden [B, T, E]."""
        memory = self.encode(source_ids, source_valid)
        return self.decode(target_ids, memory, source_valid)

    def encode(self, source_ids: Tensor, source_valid: Tensor) -> Tensor:
        """source_ids [B, S] -> memory [B, S, E]."""
        mask = padding_mask(source_valid)
        x = self.embed(source_ids)
        for block in self.encoder:
            x = block(x, mask)
        return x

    def decode(
        self,
        target_ids: Tensor,
        memory: Tensor,
        source_valid: Tensor,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """target_ids [B, T], memory [B, S, E] -> hidden [B, T, E].

        With a cache, target_ids are only the new positions.
        """
        n_past = cache.length if cache is not None else 0
        n_new = target_ids.size(1)
        mask = causal_mask(n_new, n_past + n_new, target_ids.device) if n_new > 1 else None
        memory_mask = padding_mask(source_valid)

        x = self.embed(target_ids, n_past)
        pasts = cache.layers if cache is not None else [None] * len(self.decoder)
        for block, past in zip(self.decoder, pasts, strict=True):
            x = block(x, memory, mask, memory_mask, past)
        return x

    def embed(self, token_ids: Tensor, start: int = 0) -> Tensor:
        """Embeddings times √E plus positions: the bottom of both halves of Figure 1."""
        end = start + token_ids.size(1)
        if end > self.config.max_seq_len:
            raise DataError(
                f"a text of {end} tokens is longer than this model's limit of "
                f"{self.config.max_seq_len}; split it into sentences first"
            )
        positions: Tensor = self.positions(start, token_ids.size(1))
        return self.dropout(self.embedding(token_ids) + positions)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [B, T, E] -> [B, T, V], through the tied embedding (§3.4)."""
        return self.embedding.logits(hidden, self.final_logits_bias)

    @property
    def output_projection(self) -> tuple[Tensor, Tensor]:
        """weight [V, E] and bias [V] of the last product, for losses that chunk it."""
        return self.embedding.weight, self.final_logits_bias

    def start_decoding(self, source_ids: Tensor, source_valid: Tensor) -> DecoderCache:
        """Encode once; the cache then carries all that `next_logits` needs."""
        memory = self.encode(source_ids, source_valid)
        return DecoderCache(self.config.n_decoder_layers, memory, source_valid)

    def next_logits(self, token_ids: Tensor, cache: DecoderCache) -> Tensor:
        """token_ids [B, T] new target tokens -> [B, V], scores of what follows the last."""
        assert cache.memory is not None
        assert cache.memory_valid is not None
        hidden = self.decode(token_ids, cache.memory, cache.memory_valid, cache)
        return self.logits(hidden[:, -1])
