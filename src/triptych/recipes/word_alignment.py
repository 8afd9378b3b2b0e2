"""Which source word each translated word comes from, by one head of the cross-attention.

Shapes: B pairs, L layers, H heads, T target tokens, S source tokens, W_t and W_s words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from triptych.data.batching import collate_pairs
from triptych.errors import ModelFileError, UsageError
from triptych.evaluation.alignment import (
    GoldAlignment,
    Link,
    align,
    choose_head,
    format_pharaoh,
    word_weights,
)
from triptych.inspection.attention_maps import attention_maps
from triptych.inspection.record import record
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.tokenizers.base import TranslationTokenizer

Weights = NDArray[np.float32]
IdPair = tuple[Sequence[int], Sequence[int]]
Rows = Literal["read", "predicted"]


@dataclass(frozen=True)
class AlignmentHead:
    """Whose attention aligns, both counted from 0; no head means the mean of the layer's.

    The decoder's position t reads target token t - 1 and predicts token t. Rows `read` say
    where it looks when it knows a word, rows `predicted` where it looked to find it.
    """

    layer: int
    head: int | None
    rows: Rows = "read"

    @classmethod
    def from_json(cls, value: Mapping[str, Any], place: str) -> "AlignmentHead":
        """From {"layer", "head", "rows"}; "head" may be null. Raises ModelFileError."""
        try:
            head = value["head"] if value["head"] is None else int(value["head"])
            found = cls(int(value["layer"]), head, value.get("rows", "read"))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{place}: alignment_head is {value!r}, not understood") from error
        if found.rows not in ("read", "predicted"):
            raise ModelFileError(f"{place}: alignment_head has rows {found.rows!r}, not understood")
        return found


@dataclass(frozen=True)
class WordAlignment:
    """Links (source word, target word), counted from 0 and sorted, and the attention behind."""

    links: tuple[Link, ...]
    weights: NDArray[np.float64]
    """[W_t, W_s]: a target word's attention, summed over a source word's tokens."""

    def pharaoh(self) -> str:
        """The links as "0-0 1-2"."""
        return format_pharaoh(self.links)


def cross_attentions(
    module: EncoderDecoder, pairs: Sequence[IdPair], batch_tokens: int = 4096
) -> Iterator[Weights]:
    """The decoder's attention to the source in one forced pass: [L, H, T, S] for each pair.

    Row t reads target token t - 1 and predicts token t. Computed by the plain equation.
    """
    c = module.config
    device = next(module.parameters()).device
    widest = max((max(len(s), len(t)) for s, t in pairs), default=1)
    n_rows = max(1, batch_tokens // widest)
    for start in range(0, len(pairs), n_rows):
        some = [(list(s), list(t)) for s, t in pairs[start : start + n_rows]]
        batch = collate_pairs(some, c.pad_id, c.start_id).to(device)
        with record(module) as tape, torch.inference_mode():
            module(batch.source_ids, batch.source_valid, batch.target_in)
        maps = attention_maps(tape, "decoder.*.cross_attention")
        for weights, (source_ids, target_ids) in zip(maps, some, strict=True):
            yield weights[:, :, : len(target_ids), : len(source_ids)]


def row_words(target_words: Sequence[int], rows: Rows) -> list[int]:
    """The word that each row of attention stands for, -1 for none."""
    if rows == "predicted":
        return list(target_words)
    return [-1, *target_words[:-1]]  # the first row reads the start token


def align_words(
    weights: Weights,
    source_words: Sequence[int],
    target_words: Sequence[int],
    head: AlignmentHead | None,
) -> WordAlignment:
    """Align one pair by its attention [L, H, T, S] and the word of each of its tokens.

    Without a head: the mean over all heads of the last layer but one (of the only layer, if
    there is one), rows `read`. Raises UsageError for a head that the model has not.
    """
    n_layers, n_heads = weights.shape[:2]
    if head is None:
        matrix, rows = weights[max(0, n_layers - 2)].mean(axis=0), "read"
    elif head.layer < n_layers and head.head is None:
        matrix, rows = weights[head.layer].mean(axis=0), head.rows
    elif head.layer < n_layers and head.head is not None and head.head < n_heads:
        matrix, rows = weights[head.layer, head.head], head.rows
    else:
        raise UsageError(
            f"layer {head.layer}, head {head.head} is to align, but the model has "
            f"{n_layers} layers of {n_heads} heads, counted from 0"
        )
    labels = row_words(target_words, "predicted" if rows == "predicted" else "read")
    links = align(matrix, source_words, labels)
    return WordAlignment(tuple(sorted(links)), word_weights(matrix, source_words, labels))


def align_pairs(
    module: EncoderDecoder,
    tokenizer: TranslationTokenizer,
    sources: Sequence[str],
    targets: Sequence[str],
    head: AlignmentHead | None,
) -> list[WordAlignment]:
    """Align each source with the target that is given for it (a forced pass), in order."""
    source_ids, target_ids = tokenizer.encode_source(sources), tokenizer.encode_target(targets)
    pairs = list(zip(source_ids, target_ids, strict=True))
    return [
        align_words(weights, tokenizer.source_words(s), tokenizer.target_words(t), head)
        for weights, (s, t) in zip(cross_attentions(module, pairs), pairs, strict=True)
    ]


def choose_alignment_head(
    module: EncoderDecoder,
    tokenizer: TranslationTokenizer,
    sources: Sequence[str],
    targets: Sequence[str],
    gold: Sequence[GoldAlignment],
) -> tuple[AlignmentHead, float]:
    """The layer, head and rows that err least on these pairs, and their alignment error rate.

    The mean of a layer's heads is a candidate beside each of them. Choose on validation pairs
    and report on others.
    """
    source_ids, target_ids = tokenizer.encode_source(sources), tokenizer.encode_target(targets)
    pairs = list(zip(source_ids, target_ids, strict=True))
    weights = [
        np.concatenate([heads, heads.mean(axis=1, keepdims=True)], axis=1)
        for heads in cross_attentions(module, pairs)
    ]
    n_heads = module.config.n_heads
    source_words = [tokenizer.source_words(ids) for ids in source_ids]
    kinds: tuple[Rows, Rows] = ("read", "predicted")
    best: list[tuple[float, AlignmentHead]] = []
    for rows in kinds:
        labels = [row_words(tokenizer.target_words(ids), rows) for ids in target_ids]
        choice = choose_head(weights, source_words, labels, gold)
        head = choice.head if choice.head < n_heads else None
        best.append((choice.aer, AlignmentHead(choice.layer, head, rows)))
    aer, chosen = min(best, key=lambda found: found[0])
    return chosen, aer
