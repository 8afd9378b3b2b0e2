"""Decoder only — GPT, Radford et al. 2018, Figure 1 and 2019, §2.3: Block × N, PreNorm, causal.

Shapes: B batch, T new positions, S all positions seen, E model width, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.blocks import Block
from triptych.core.cache import RaggedCache
from triptych.core.dropout import Dropout
from triptych.core.feed_forward import FeedForward
from triptych.core.initialization import initialize_gpt2
from triptych.core.masks import causal_mask, causal_padding_mask, document_mask
from triptych.core.positions import LearnedPositions, count_positions
from triptych.core.residual import PreNorm
from triptych.errors import ConfigError, DataError


def gelu_tanh(x: Tensor) -> Tensor:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))  — Hendrycks and Gimpel 2016, §2; the released
    code's. A function with a name, so that it is the same one in a copy of a model."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": gelu_tanh,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
}

SIZES = ("vocab_size", "d_model", "d_ff", "n_heads", "n_layers", "max_seq_len")
DROPOUTS = ("dropout", "attention_dropout", "embedding_dropout")


@dataclass(frozen=True, kw_only=True)
class GptConfig:
    """The shape of a decoder-only model; by default the smallest of Radford et al. 2019."""

    vocab_size: int
    """Entries of the vocabulary, special tokens included [V]."""
    d_model: int = 768
    """Model width [here E]."""
    d_ff: int = 3072
    """Feed-forward width."""
    n_heads: int = 12
    """Heads of each attention."""
    n_layers: int = 12
    """Blocks."""
    dropout: float = 0.1
    """Probability of dropping, on each sub-layer's output."""
    attention_dropout: float = 0.1
    """Probability of dropping an attention weight."""
    embedding_dropout: float = 0.1
    """Probability of dropping, on the sum of the embeddings."""
    activation: str = "gelu_tanh"
    """Feed-forward activation: gelu_tanh, gelu, relu or silu."""
    max_seq_len: int = 1024
    """Longest text, in tokens: the context."""
    norm_eps: float = 1e-5
    """Added to the variance in each LayerNorm."""
    eos_id: int | None = None
    """Ends a text and begins the next one; none where the vocabulary has no such token."""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ConfigError(f"activation is {self.activation!r}; choose one of {known}")
        for name in SIZES:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in DROPOUTS:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; choose it in [0, 1)")
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})"
            )
        if self.eos_id is not None and not 0 <= self.eos_id < self.vocab_size:
            raise ConfigError(
                f"eos_id is {self.eos_id}, outside the vocabulary of {self.vocab_size}"
            )


class Gpt(nn.Module):
    """Token + position embeddings, Block × N under a causal mask, a last LayerNorm."""

    no_bias: Tensor

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        c = self.config = config
        attention = partial(MultiHeadAttention, c.d_model, c.n_heads, dropout=c.attention_dropout)
        feed_forward = partial(FeedForward, c.d_model, c.d_ff, ACTIVATIONS[c.activation])
        residual = partial(PreNorm, c.d_model, dropout=c.dropout, eps=c.norm_eps)

        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.positions = LearnedPositions(c.max_seq_len, c.d_model)
        self.dropout = Dropout(c.embedding_dropout)
        self.blocks = nn.ModuleList(
            Block(attention=attention, feed_forward=feed_forward, residual=residual)
            for _ in range(c.n_layers)
        )
        self.norm = nn.LayerNorm(c.d_model, eps=c.norm_eps)
        self.register_buffer("no_bias", torch.zeros(c.vocab_size), persistent=False)
        initialize_gpt2(self)

    def reset_buffers(self) -> None:
        """Make what no file holds, for a module that was made without memory."""
        self.no_bias = torch.zeros(self.config.vocab_size)

    def forward(
        self,
        token_ids: Tensor,
        *,
        valid: Tensor | None = None,
        cache: RaggedCache | None = None,
        positions: Tensor | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """token_ids [B, T] -> hidden [B, T, E]. Raises DataError beyond the context.

        `valid` [B, T], True on real tokens: padding, wherever it stands, changes nothing, and
        counts for no position. Padding at the end alone needs none, without a cache: nobody looks
        ahead. With a cache, token_ids are only the new tokens of each row.

        `document_ids` [B, T], for whole rows, without the other two: a position sees only those
        of its own number. `positions` [B, T]: the place of each token, where that is not the
        number of those before it.
        """
        n_past, n_new = 0 if cache is None else cache.length, token_ids.size(1)
        seen = valid if cache is None else cache.see(token_ids, valid)  # [B, S], or all are real
        mask: Tensor | None = None  # one new token sees the whole past
        if document_ids is not None:
            mask = document_mask(document_ids)
        elif seen is not None:
            mask = causal_padding_mask(seen, n_new)
        elif n_new > 1:
            mask = causal_mask(n_new, n_past + n_new, token_ids.device)

        x = self.embed(token_ids, n_past, seen, positions)
        pasts = cache.layers if cache is not None else [None] * len(self.blocks)
        for block, past in zip(self.blocks, pasts, strict=True):
            x = block(x, mask, past)
        return self.norm(x)  # type: ignore[no-any-return]

    def embed(
        self,
        token_ids: Tensor,
        start: int = 0,
        seen: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """token_ids [B, T], of which `start` positions came before; seen [B, start + T], those
        that are real; positions [B, T] -> [B, T, E]. Raises DataError beyond the context."""
        length = start + token_ids.size(1)
        longest = self.config.max_seq_len
        if length > longest and seen is not None:
            length = int(seen.sum(dim=1).max())  # padding takes no position
        if length > longest:
            raise DataError(
                f"a text of {length} tokens is longer than this model's limit of {longest}; "
                "split it or cut it first"
            )
        if positions is None and seen is not None:
            positions = count_positions(seen)[:, start:]
        if positions is None:
            places: Tensor = self.positions(start, token_ids.size(1))
        else:
            places = self.positions.at(positions)
        return self.dropout(self.token_embedding(token_ids) + places)  # type: ignore[no-any-return]

    def project(self, hidden: Tensor) -> Tensor:
        """hidden [..., E] -> logits [..., V], through the tied embedding."""
        return F.linear(hidden, self.token_embedding.weight)

    @property
    def output_projection(self) -> tuple[Tensor, Tensor]:
        """weight [V, E] and bias [V] (zeros) of the last product, for losses that chunk it."""
        return self.token_embedding.weight, self.no_bias

    def new_cache(self, batch: int, length: int) -> RaggedCache:
        """For so many rows, with room for `length` positions each; it grows if they are more."""
        return RaggedCache(self.config.n_layers, batch, length)

    def next_logits(
        self,
        token_ids: Tensor,
        cache: RaggedCache,
        valid: Tensor | None = None,
        *,
        likeliest: int | None = None,
    ) -> Tensor:
        """token_ids [B, T] new tokens -> [B, V], scores of what follows the last real one.

        What a row gets that has no real token means nothing. All are computed, though only the
        `likeliest` be wanted.
        """
        return self.project(last_real(self(token_ids, valid=valid, cache=cache), valid))


def last_real(hidden: Tensor, valid: Tensor | None) -> Tensor:
    """hidden [B, T, E] -> [B, E], at the last position of each row that `valid` [B, T] calls real.

    None: all are. What a row gets that has no real position means nothing.
    """
    if valid is None:
        return hidden[:, -1]
    last = valid.size(1) - 1 - valid.flip(1).long().argmax(dim=1)  # [B]
    rows = torch.arange(len(last), device=last.device)
    return hidden[rows, last]
