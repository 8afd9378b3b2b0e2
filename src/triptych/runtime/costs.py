"""What a model's shape costs: parameters and floating-point operations, as formulas.

Letters: B rows, T positions of a row, S positions that a cross-attention looks at, E model width,
F feed-forward width, V vocabulary.
"""

from dataclasses import dataclass
from typing import NamedTuple

from triptych.models.bert import BertConfig
from triptych.models.encoder_decoder import EncoderDecoderConfig
from triptych.models.gpt import GptConfig

Config = EncoderDecoderConfig | BertConfig | GptConfig

KEEPS_INPUT = frozenset({"gelu", "gelu_tanh", "silu"})
"""Activations whose gradient needs what went in; the rectifier's needs what came out."""


class Attention(NamedTuple):
    """Over one row."""

    n_queries: int
    n_keys: int
    is_causal: bool = False
    is_cross: bool = False

    @property
    def pairs(self) -> float:
        """Queries times the keys that they see."""
        return self.n_queries * self.n_keys / (2 if self.is_causal else 1)


@dataclass(frozen=True)
class Stack:
    """So many equal blocks, over rows of one length."""

    n_layers: int
    attentions: tuple[Attention, ...]

    @property
    def n_positions(self) -> int:
        """T."""
        return self.attentions[0].n_queries


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the formulas need of a model and of the rows that go through it."""

    width: int
    """E."""
    inner: int
    """F."""
    n_heads: int
    vocab_size: int
    """V."""
    stacks: tuple[Stack, ...]
    n_predicted: int
    """Positions of a row that the loss projects to V."""
    n_outside: int
    """Parameters outside the blocks: embeddings, norms, heads."""
    head_weights: int = 0
    """Weights of a product that the predicted positions go through before the one with V rows."""
    n_norms: int
    """LayerNorms outside the blocks that each position goes through."""
    dropout: float
    attention_dropout: float
    keeps_input: bool

    def block_parameters(self, stack: Stack) -> int:
        """n · (4E² + 4E) + 2EF + E + F + (n + 1) · 2E with n attentions, biases and gains too."""
        n = len(stack.attentions)
        attentions = n * (4 * self.width**2 + 4 * self.width)
        feed_forward = 2 * self.width * self.inner + self.width + self.inner
        return attentions + feed_forward + (n + 1) * 2 * self.width

    @property
    def largest_products(self) -> int:
        """Of an attention, 4E² + 4E, or of a feed-forward network, 2EF + E + F."""
        square = self.width**2 + self.width
        return max(4 * square, 2 * self.width * self.inner + self.width + self.inner)

    @property
    def products(self) -> int:
        """Weights and biases of the blocks' products: all but the norms."""
        return sum(
            stack.n_layers
            * (self.block_parameters(stack) - (len(stack.attentions) + 1) * 2 * self.width)
            for stack in self.stacks
        )

    @property
    def in_blocks(self) -> int:
        """Parameters of all blocks."""
        return sum(stack.n_layers * self.block_parameters(stack) for stack in self.stacks)

    @property
    def n_parameters(self) -> int:
        return self.n_outside + self.in_blocks


def shape_of(config: Config, n_positions: int, mask_share: float = 0.15) -> Shape:
    """A model as it is trained, on rows of T positions; a translation's source and target are
    equally long. Of BERT with both heads, `mask_share` of the positions are predicted."""
    if isinstance(config, EncoderDecoderConfig):
        return _encoder_decoder(config, n_positions)
    if isinstance(config, BertConfig):
        return _bert(config, n_positions, round(mask_share * n_positions))
    return _gpt(config, n_positions)


def _gpt(c: GptConfig, n_positions: int) -> Shape:
    return Shape(
        width=c.d_model, inner=c.d_ff, n_heads=c.n_heads, vocab_size=c.vocab_size,
        stacks=(Stack(c.n_layers, (Attention(n_positions, n_positions, is_causal=True),)),),
        n_predicted=n_positions,
        n_outside=(c.vocab_size + c.max_seq_len + 2) * c.d_model, n_norms=1,
        dropout=c.dropout, attention_dropout=c.attention_dropout,
        keeps_input=c.activation in KEEPS_INPUT,
    )  # fmt: skip


def _bert(c: BertConfig, n_positions: int, n_predicted: int) -> Shape:
    embeddings = (c.vocab_size + c.max_seq_len + c.n_segments + 2) * c.d_model
    square = c.d_model**2 + c.d_model
    heads = square + (square + 2 * c.d_model + c.vocab_size) + 2 * c.d_model + 2
    return Shape(
        width=c.d_model, inner=c.d_ff, n_heads=c.n_heads, vocab_size=c.vocab_size,
        stacks=(Stack(c.n_layers, (Attention(n_positions, n_positions),)),),
        n_predicted=n_predicted,
        n_outside=embeddings + heads, head_weights=c.d_model**2, n_norms=1,
        dropout=c.dropout, attention_dropout=c.attention_dropout,
        keeps_input=c.activation in KEEPS_INPUT,
    )  # fmt: skip


def _encoder_decoder(c: EncoderDecoderConfig, n_positions: int) -> Shape:
    t = n_positions
    to_itself, to_memory = Attention(t, t, is_causal=True), Attention(t, t, is_cross=True)
    encoder = Stack(c.n_encoder_layers, (Attention(t, t),))
    decoder = Stack(c.n_decoder_layers, (to_itself, to_memory))
    return Shape(
        width=c.d_model, inner=c.d_ff, n_heads=c.n_heads, vocab_size=c.vocab_size,
        stacks=(encoder, decoder), n_predicted=n_positions, n_outside=c.vocab_size * c.d_model,
        n_norms=0,
        dropout=c.dropout, attention_dropout=0.0, keeps_input=c.activation in KEEPS_INPUT,
    )  # fmt: skip


def row_flops(shape: Shape) -> float:
    """Forward and backward of one row without padding: 6 · weights · positions, and attention.

    A weight of a product costs 2 operations a position forward and 4 backward. The products of
    queries and keys, weights and values cost 12 · E · T · S a layer, half of that under the causal
    mask. What checkpointing computes again is not counted, as in training's share of peak.
    """
    square, blocks = shape.width**2, 0.0
    for stack in shape.stacks:
        weights = stack.n_positions * 2 * shape.width * shape.inner
        weights += sum(2 * (each.n_queries + each.n_keys) * square for each in stack.attentions)
        pairs = sum(each.pairs for each in stack.attentions)
        blocks += stack.n_layers * (6 * weights + 12 * shape.width * pairs)
    head = shape.n_predicted * (shape.head_weights + shape.width * shape.vocab_size)
    return blocks + 6 * head
