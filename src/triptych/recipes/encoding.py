"""Any number of texts through an encoder: sorted by their tokens, in batches of like lengths.

tokenise -> sort by length -> batches by a budget of tokens -> trunk -> read each batch

Little is padding, the same texts give the same vectors whatever their company, and memory is
bounded by the budget.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triptych.data.batching import by_length
from triptych.errors import DataError, UsageError
from triptych.files.notices import notice
from triptych.models.heads import BertWithHeads
from triptych.recipes.fast_twin import FastTwin
from triptych.runtime.encoder import FastBert
from triptych.runtime.streams import in_streams
from triptych.tokenizers.wordpiece import WordPiece

OnTooLong = Literal["cut", "refuse"]
OnEmpty = Literal["keep", "refuse"]
Trunk = Callable[[Tensor, Tensor, Tensor], Tensor]
"""token ids, valid and segment ids [B, T] each -> hidden [B, T, E]."""


def text_number(row: int) -> str:
    """What a text is called in messages where nothing better is known: by its number, from 1."""
    return f"text {row + 1}"


def pair_number(row: int) -> str:
    """What a pair is called there."""
    return f"pair {row + 1}"


@dataclass(frozen=True)
class EncoderInput:
    """One text or pair, special tokens included."""

    token_ids: list[int]
    segment_ids: list[int]


@dataclass(frozen=True)
class EncoderBatch:
    """Inputs padded to the longest; `rows` are their numbers among all."""

    rows: list[int]
    token_ids: Tensor
    """[B, T]"""
    valid: Tensor
    """[B, T], True = real"""
    segment_ids: Tensor
    """[B, T]"""


def encoder_inputs(
    texts: Sequence[str],
    tokenizer: WordPiece,
    max_seq_len: int,
    on_too_long: OnTooLong = "cut",
    place: Callable[[int], str] = text_number,
    on_empty: OnEmpty = "keep",
) -> list[EncoderInput]:
    """`[CLS] text [SEP]` for each text; longer ones lose their end, and it is said once how many.

    With `on_too_long` "refuse", a longer one raises DataError with its place and its length; with
    `on_empty` "refuse", one without tokens raises it with its place.
    """
    inputs, cut = [], []
    for i, pieces in enumerate(tokenizer.encode(texts)):
        if not pieces and on_empty == "refuse":
            raise DataError(f"{place(i)} has no tokens ({texts[i][:40]!r}); give some words")
        if len(pieces) + 2 > max_seq_len:
            if on_too_long == "refuse":
                raise DataError(
                    f"{place(i)}: {len(pieces) + 2:,} tokens, more than this model's limit of "
                    f"{max_seq_len:,}; split the text, or let it be cut (--on-too-long cut)"
                )
            cut.append(i)
        inputs.append(EncoderInput(*tokenizer.with_specials(pieces[: max_seq_len - 2])))
    if cut:
        notice(
            f"{len(cut)} of {len(texts)} texts are longer than {max_seq_len} tokens and were cut "
            f"there, the first of them {place(cut[0])}"
        )
    return inputs


def pair_inputs(
    first: Sequence[str],
    second: Sequence[str] | None,
    tokenizer: WordPiece,
    max_seq_len: int,
    place: Callable[[int], str] = text_number,
) -> list[EncoderInput]:
    """`[CLS] A [SEP] B [SEP]` for each pair, or `[CLS] A [SEP]` without a second.

    What is too long loses its end, of a pair the longer text first, as in the code of Devlin et
    al.; it is said once how many. Raises UsageError for lists of different lengths.
    """
    if second is None:
        return encoder_inputs(first, tokenizer, max_seq_len, place=place)
    if len(first) != len(second):
        raise UsageError(f"{len(first)} texts beside {len(second)}; give pairs")
    inputs, cut, room = [], [], max_seq_len - 3
    both = zip(tokenizer.encode(first), tokenizer.encode(second), strict=True)
    for i, (a, b) in enumerate(both):
        if len(a) + len(b) > room:
            cut.append(i)
        keep_b = min(len(b), max(room // 2, room - len(a)))
        inputs.append(EncoderInput(*tokenizer.with_specials(a[: room - keep_b], b[:keep_b])))
    if cut:
        notice(
            f"{len(cut)} of {len(first)} pairs are longer than {max_seq_len} tokens and were cut "
            f"there, the first of them {place(cut[0])}"
        )
    return inputs


def padded_batches(
    inputs: Sequence[EncoderInput], batch_tokens: int, pad_id: int
) -> Iterator[EncoderBatch]:
    """Longest first; rows times longest is at most `batch_tokens`, or the batch is one row."""
    for rows in by_length([len(given.token_ids) for given in inputs], batch_tokens):
        longest = len(inputs[rows[0]].token_ids)
        yield _padded(rows, [inputs[i] for i in rows], longest, pad_id)


def encode(
    twin: FastTwin[Trunk],
    inputs: Sequence[EncoderInput],
    batch_tokens: int,
    read: Callable[[Tensor, EncoderBatch], Tensor],
) -> Iterator[tuple[list[int], Tensor]]:
    """(rows, what `read(hidden [B, T, E], batch)` gives for them) for each batch.

    The batches of a fast twin in bf16 on a CPU go side by side (`runtime/streams.py`).
    """
    model: BertWithHeads = twin.module
    weight, trunk = model.bert.norm.weight, twin()
    place = weight.device

    @torch.inference_mode()
    def work(batch: EncoderBatch) -> tuple[list[int], Tensor]:
        batch = EncoderBatch(
            batch.rows,
            batch.token_ids.to(place),
            batch.valid.to(place),
            batch.segment_ids.to(place),
        )
        hidden = trunk(batch.token_ids, batch.valid, batch.segment_ids)
        return batch.rows, read(hidden, batch)

    batches = padded_batches(inputs, batch_tokens, model.config.trunk.pad_id)
    is_many = sum(len(given.token_ids) for given in inputs) > batch_tokens
    is_bf16_twin = isinstance(trunk, FastBert) and weight.dtype == torch.bfloat16
    go = in_streams if is_many and is_bf16_twin and place.type == "cpu" else map
    yield from go(work, batches)


def head_outputs(
    twin: FastTwin[Trunk],
    inputs: Sequence[EncoderInput],
    batch_tokens: int,
    read: Callable[[Tensor, EncoderBatch], Tensor],
) -> list[npt.NDArray[np.float32]]:
    """What `read` gives for each input, in order and without padding: [K], or [T, K]."""
    outputs = [np.empty(0, dtype=np.float32)] * len(inputs)
    for rows, values in encode(twin, inputs, batch_tokens, read):
        for row, value in zip(rows, values.float().cpu().numpy(), strict=True):
            outputs[row] = value[: len(inputs[row].token_ids)] if value.ndim > 1 else value
    return outputs


def _padded(
    rows: list[int], inputs: Sequence[EncoderInput], longest: int, pad_id: int
) -> EncoderBatch:
    token_ids = torch.full((len(rows), longest), pad_id)
    segment_ids = torch.zeros_like(token_ids)
    for row, given in enumerate(inputs):
        token_ids[row, : len(given.token_ids)] = torch.tensor(given.token_ids)
        segment_ids[row, : len(given.segment_ids)] = torch.tensor(given.segment_ids)
    lengths = torch.tensor([len(given.token_ids) for given in inputs])
    return EncoderBatch(rows, token_ids, torch.arange(longest) < lengths[:, None], segment_ids)
