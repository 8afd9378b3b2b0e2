"""BertWithHeads <-> transformers' Bert models: one table, read in both directions.

Names are stored with the prefix `bert.` where the class has a head and without where it has none,
as transformers does; both are read, and so are the old `gamma` and `beta` of the norms.

Shapes: E model width, F feed-forward width, V vocabulary, K labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triptych.convert.bert_config import architecture
from triptych.convert.checks import check_no_other, check_tensor, missing_tensor
from triptych.errors import ModelFileError
from triptych.models.heads import BertWithHeadsConfig

PREFIX = "bert."
LAYER = (  # ours, theirs
    ("self_attention.w_q", "attention.self.query"),
    ("self_attention.w_k", "attention.self.key"),
    ("self_attention.w_v", "attention.self.value"),
    ("self_attention.w_o", "attention.output.dense"),
    ("residual_1.norm", "attention.output.LayerNorm"),
    ("feed_forward.w_up", "intermediate.dense"),
    ("feed_forward.w_down", "output.dense"),
    ("residual_2.norm", "output.LayerNorm"),
)
WORDS = "embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"
UNUSED = ("embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "cls.")
"""What a file may hold beside the heads of its class: old buffers, heads of pretraining."""
SPELLINGS = (  # as stored today, as stored by older files
    ("LayerNorm.weight", "LayerNorm.gamma"),
    ("LayerNorm.bias", "LayerNorm.beta"),
    ("cls.predictions.bias", "cls.predictions.decoder.bias"),
)


@dataclass(frozen=True)
class Entry:
    """One tensor in both worlds."""

    ours: str
    theirs: str
    """Without the prefix `bert.`."""
    shape: tuple[int, ...]
    in_trunk: bool = True
    """Whether the prefix belongs to it."""


def table(config: BertWithHeadsConfig) -> list[Entry]:
    """Every tensor of a model of this shape, from the embeddings up."""
    return [*_trunk(config), *_heads(config)]


def _trunk(config: BertWithHeadsConfig) -> Iterator[Entry]:
    c = config.trunk
    width = c.d_model
    yield Entry("bert.token_embedding.weight", WORDS, (c.vocab_size, width))
    positions = "embeddings.position_embeddings.weight"
    yield Entry("bert.positions.weight", positions, (c.max_seq_len, width))
    segments = "embeddings.token_type_embeddings.weight"
    yield Entry("bert.segment_embedding.weight", segments, (c.n_segments, width))
    yield from _pair("bert.norm", "embeddings.LayerNorm", (width,))
    for layer in range(c.n_layers):
        for our, their in LAYER:
            n_out = c.d_ff if our.endswith("w_up") else width
            n_in = c.d_ff if our.endswith("w_down") else width
            shape = (width,) if their.endswith("LayerNorm") else (n_out, n_in)
            yield from _pair(f"bert.blocks.{layer}.{our}", f"encoder.layer.{layer}.{their}", shape)


def _heads(config: BertWithHeadsConfig) -> Iterator[Entry]:
    c = config.trunk
    width = c.d_model
    if "pooler" in config.heads:
        yield from _pair("heads.pooler.dense", "pooler.dense", (width, width))
    if "masked_words" in config.heads:
        transform = "cls.predictions.transform"
        head = "heads.masked_words"
        yield from _pair(f"{head}.dense", f"{transform}.dense", (width, width), in_trunk=False)
        yield from _pair(f"{head}.norm", f"{transform}.LayerNorm", (width,), in_trunk=False)
        yield Entry(f"{head}.bias", "cls.predictions.bias", (c.vocab_size,), in_trunk=False)
    if "next_sentence" in config.heads:
        ours, theirs = "heads.next_sentence.linear", "cls.seq_relationship"
        yield from _pair(ours, theirs, (2, width), in_trunk=False)
    if "classifier" in config.heads:
        shape = (len(config.labels), width)
        yield from _pair("heads.classifier.linear", "classifier", shape, in_trunk=False)
    if "spans" in config.heads:
        yield from _pair("heads.spans.linear", "qa_outputs", (2, width), in_trunk=False)


def _pair(ours: str, theirs: str, shape: tuple[int, ...], in_trunk: bool = True) -> Iterator[Entry]:
    yield Entry(f"{ours}.weight", f"{theirs}.weight", shape, in_trunk)
    yield Entry(f"{ours}.bias", f"{theirs}.bias", shape[:1], in_trunk)


def to_bert(state: Mapping[str, Tensor], config: BertWithHeadsConfig) -> dict[str, Tensor]:
    """Our state dict -> the names of transformers; the tied embedding stored once."""
    prefix = "" if architecture(config) == "BertModel" else PREFIX
    return {
        (prefix if entry.in_trunk else "") + entry.theirs: state[entry.ours].detach().cpu()
        for entry in table(config)
    }


def with_stored_heads(
    config: BertWithHeadsConfig, tensors: Mapping[str, Tensor]
) -> BertWithHeadsConfig:
    """The configuration with the heads that the file holds, whatever class it was saved from.

    BERT's published weights have all three heads of pretraining under the name of a class that
    uses one; a bare encoder may lack the pooler. A pooler that no head reads is left out.
    """
    if {"classifier", "spans"} & set(config.heads):
        return config
    prefix = _prefix(tensors)
    stored = {
        "pooler": prefix + "pooler.dense.weight" in tensors,
        "masked_words": "cls.predictions.transform.dense.weight" in tensors,
        "next_sentence": "cls.seq_relationship.weight" in tensors,
    }
    if set(config.heads) == {"pooler"} and not stored["pooler"]:
        config = replace(config, heads=())  # a bare encoder saved without one
    heads = {name for name in stored if stored[name]} | set(config.heads)
    if "masked_words" in heads and "next_sentence" not in heads:
        heads.discard("pooler")
    return replace(config, heads=tuple(name for name in stored if name in heads))


def from_bert(
    tensors: Mapping[str, Tensor], config: BertWithHeadsConfig, place: str
) -> dict[str, Tensor]:
    """Tensors of a Bert model of transformers -> our state dict, in float32, in memory of its own.

    Raises ModelFileError, with `place` and the tensor's name, for one that is missing, not known,
    of another shape, not finite, or a copy that differs from what it copies.
    """
    prefix = _prefix(tensors)
    state, used = {}, set()
    for entry in table(config):
        name = (prefix if entry.in_trunk else "") + entry.theirs
        found = next((spelt for spelt in _spellings(name) if spelt in tensors), None)
        if found is None:
            raise missing_tensor(name, entry.shape, place)
        tensor = tensors[found]
        check_tensor(found, entry.shape, tensor, place)
        state[entry.ours] = tensor.to(torch.float32, copy=True)
        used.add(found)
    _check_copy(tensors, prefix + WORDS, DECODER, place)
    _check_copy(tensors, "cls.predictions.bias", "cls.predictions.decoder.bias", place)
    unused = {name for name in tensors if name.removeprefix(prefix).startswith(UNUSED)}
    check_no_other(tensors, used | unused, place)
    return state


def _prefix(tensors: Mapping[str, Tensor]) -> str:
    return PREFIX if any(name.startswith(PREFIX) for name in tensors) else ""


def _spellings(name: str) -> Iterator[str]:
    yield name
    for new, old in SPELLINGS:
        if name.endswith(new):
            yield name.removesuffix(new) + old


def _check_copy(tensors: Mapping[str, Tensor], original: str, copy: str, place: str) -> None:
    both = original in tensors and copy in tensors
    if both and not torch.equal(tensors[original], tensors[copy]):
        raise ModelFileError(
            f"{place}: {copy} differs from {original}; models with a separate output matrix are "
            "not supported"
        )
