"""What training holds in memory, as formulas: bytes of each part, and at the largest moment.

Letters: B rows of one pass, T positions of a row, n = B · T, N predicted positions, S keys,
H heads, E model width, F feed-forward width, V vocabulary, P parameters, a bytes of a product's
result (4 in fp32, 2 in bf16).
"""

from dataclasses import dataclass
from typing import Literal

from triptych.core.loss import CHUNK_ELEMENTS
from triptych.runtime.attention import is_plain_on_cpu
from triptych.runtime.causal import ROWS, n_weights
from triptych.runtime.costs import Attention, Shape, Stack

FLOAT = 4
"""Weights, gradients, both of Adam's means and the residual stream are float32."""
STATISTICS = 8
"""Mean and deviation that a LayerNorm keeps of each position."""

CPU_ALLOCATOR = 0.2
"""Of what comes and goes in an update, a CPU's allocator keeps so much more in gaps: chosen on the
rows of `benchmarks/plan_memory.py`; nothing with MALLOC_MMAP_THRESHOLD_=65536."""
SENT_BYTES = 64_000_000
"""Gradients that travel between processes in one message (`training/distributed.py`)."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """How rows go through a model at once."""

    rows: int
    precision: Literal["fp32", "bf16"] = "fp32"
    on_gpu: bool = True
    checkpointing: bool = False
    """Each block keeps its input alone and is computed again on the way back."""
    accumulates: bool = False
    """Gradients of passes before this one are held meanwhile."""

    @property
    def product(self) -> int:
        """Bytes of an element of a product's result."""
        return 2 if self.precision == "bf16" else FLOAT

    @property
    def in_bf16(self) -> bool:
        return self.precision == "bf16"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one device."""

    weights: int
    gradients: int
    optimizer: int
    copies: int
    """Weights in bf16, or gathered from all devices while they are used."""
    activations: int
    """Kept by the forward pass for the backward pass."""
    loss: int
    """What the loss adds while it is computed: its gradients and a chunk of logits."""
    allocator: int
    """What a CPU's allocator keeps of memory that was given back."""
    tensors: int
    """At the largest moment; not the sum, as activations go while gradients come."""

    @property
    def peak(self) -> int:
        return self.tensors + self.allocator


def memory_of(shape: Shape, how: Pass, n_processes: int = 1) -> Memory:
    """Of each process that holds the whole model: the only one, or several that add gradients.

    The largest of four moments: in the loss, where all activations are there; in the last block,
    at the beginning of the way back; at its end, where all gradients are, and that of the
    embedding twice, as the loss's and as the lookup's; and while gradients are sent.
    """
    p = shape.n_parameters
    held = 3 * FLOAT * p  # weights and both means
    during = held + (FLOAT * p if how.accumulates else 0)
    copies = 2 * shape.products if how.in_bf16 else 0
    kept, embedding = activations(shape, how), FLOAT * shape.vocab_size * shape.width
    sent = min(max(SENT_BYTES, embedding), FLOAT * p) if n_processes > 1 else 0
    tensors = max(
        during + copies + kept + loss_memory(shape, how),
        during + copies + kept + loss_gradients(shape, how) + way_back(shape, how),
        held + FLOAT * p + max(embedding, sent),
    )
    return Memory(
        weights=FLOAT * p, gradients=FLOAT * p, optimizer=2 * FLOAT * p, copies=copies,
        activations=kept, loss=loss_memory(shape, how),
        allocator=0 if how.on_gpu else round(CPU_ALLOCATOR * (tensors - held)), tensors=tensors,
    )  # fmt: skip


def sharded_memory_of(shape: Shape, how: Pass, n_processes: int) -> Memory:
    """Of each process that holds its share alone (FSDP2; `training/holding.py`).

    Norms and what lies outside the blocks are gathered for a whole pass; of the products, those of
    an attention or a feed-forward network and of the next one. On the way back their gradients are
    there as well until they are added and shared out.
    """
    share = -(-shape.n_parameters // n_processes)
    block = shape.largest_products
    outside, held = FLOAT * (shape.n_parameters - shape.products), 3 * FLOAT * share
    during = held + (FLOAT * share if how.accumulates else 0)
    copies = outside + 2 * how.product * block
    sent = (how.product + FLOAT) * block
    kept = activations(shape, how)
    embedding = FLOAT * shape.vocab_size * shape.width
    tensors = max(
        during + copies + kept + loss_memory(shape, how),
        during + copies + kept + loss_gradients(shape, how) + way_back(shape, how) + sent,
        held + FLOAT * share + copies + outside + embedding + sent,
    )
    return Memory(
        weights=FLOAT * share, gradients=FLOAT * share, optimizer=2 * FLOAT * share,
        copies=copies, activations=kept, loss=loss_memory(shape, how),
        allocator=0 if how.on_gpu else round(CPU_ALLOCATOR * (tensors - held)), tensors=tensors,
    )  # fmt: skip


def activations(shape: Shape, how: Pass) -> int:
    """What the forward pass keeps, autocast's copies of weights apart."""
    blocks = [(stack, block_activations(shape, stack, how)) for stack in shape.stacks]
    n, e = how.rows * shape.stacks[-1].n_positions, shape.width
    outside = how.rows * _outside(shape, how)
    if not how.checkpointing:
        return outside + sum(stack.n_layers * each for stack, each in blocks)
    inputs = sum(stack.n_layers for stack in shape.stacks) * FLOAT * n * e
    return outside + inputs + max(each for _, each in blocks)


def _outside(shape: Shape, how: Pass) -> int:
    """Of one row, outside the blocks: ids, embeddings, the last norm, the memory, a head."""
    e, dropped = shape.width, (1 if how.on_gpu else FLOAT) * (shape.dropout > 0)
    norm = shape.n_norms * (FLOAT * e + STATISTICS)
    each = sum(stack.n_positions for stack in shape.stacks) * (8 + dropped * e + norm)
    crosses = any(a.is_cross for stack in shape.stacks for a in stack.attentions)
    memory = FLOAT * e * shape.stacks[0].n_positions if crosses and not how.in_bf16 else 0
    head = shape.n_predicted * e * (2 * how.product + FLOAT) if shape.head_weights else 0
    return each + memory + head


def block_activations(shape: Shape, stack: Stack, how: Pass) -> int:
    """What one block keeps: of each sub-layer the norm's input, what it multiplies, its mask."""
    n, e, a = how.rows * stack.n_positions, shape.width, how.product
    dropped = (1 if how.on_gpu else a) * n * e if shape.dropout else 0
    each = FLOAT * n * e + STATISTICS * n + dropped
    inner = (2 if shape.keeps_input else 1) * a * n * shape.inner
    attentions = sum(attention_activations(shape, one, how) for one in stack.attentions)
    return (len(stack.attentions) + 1) * each + attentions + a * n * e + inner


def attention_activations(shape: Shape, one: Attention, how: Pass) -> int:
    """What goes into its products, q, k, v, what comes out; and every weight, where they exist.

    Under autocast q, k and v have each a copy of their input; without it, one for all three, or
    for q alone where k and v read the memory, which is kept once.
    """
    a, e = how.product, shape.width
    queries, keys = how.rows * one.n_queries, how.rows * one.n_keys
    inputs = a * e * (queries + 2 * keys) if how.in_bf16 else a * e * queries
    around = inputs + a * e * (2 * queries + 2 * keys)
    mask = one.n_queries * one.n_keys if one.is_causal else 0
    p_drop = shape.attention_dropout
    heads = how.rows * shape.n_heads
    if how.on_gpu or not is_plain_on_cpu(one.n_keys, how.in_bf16, p_drop, one.is_causal):
        return around + FLOAT * heads * one.n_queries + a * mask
    if one.is_causal:
        return around + (2 if p_drop else 1) * a * heads * n_weights(one.n_keys)
    return around + (3 if p_drop else 1) * a * heads * one.n_queries * one.n_keys


def loss_gradients(shape: Shape, how: Pass) -> int:
    """4 · (N · E + V · E + V): by hidden, by the embedding, by a bias."""
    n_predicted = how.rows * shape.n_predicted
    return FLOAT * ((n_predicted + shape.vocab_size) * shape.width + shape.vocab_size)


def loss_memory(shape: Shape, how: Pass) -> int:
    """Its gradients, the hidden states twice (all, and those predicted), and the larger of two
    moments of a chunk: its logits take the place of the chunk's before, or its share of the
    embedding's gradient is there."""
    n = how.rows * shape.stacks[-1].n_positions
    n_predicted, e, v = how.rows * shape.n_predicted, shape.width, shape.vocab_size
    rows = min(n_predicted, max(CHUNK_ELEMENTS // v, e))
    logits = rows * v * (FLOAT + (2 if how.in_bf16 else 0))
    before = FLOAT * rows * v if rows < n_predicted else 0
    share = how.product * (min(CHUNK_ELEMENTS, v * e) + rows * e)
    casts = 2 * (n_predicted + v) * e if how.in_bf16 else 0
    held = loss_gradients(shape, how) + FLOAT * (n + n_predicted) * e + casts
    return held + logits + max(before, share)


def way_back(shape: Shape, how: Pass) -> int:
    """What the last block needs beside what it kept: gradients by its inside and its output, or by
    every weight of its attention."""
    stack, a = shape.stacks[-1], how.product
    n = how.rows * stack.n_positions
    inner = a * n * shape.inner
    weights = 0
    for one in stack.attentions:
        p_drop = shape.attention_dropout
        if not how.on_gpu and is_plain_on_cpu(one.n_keys, how.in_bf16, p_drop, one.is_causal):
            n_queries = min(ROWS, one.n_queries) if one.is_causal else one.n_queries
            weights = 2 * a * how.rows * shape.n_heads * n_queries * one.n_keys
    freed = (2 if shape.keeps_input else 1) * inner
    return max(inner, weights - freed) + 2 * FLOAT * n * shape.width
