"""From lines to what a model can translate at once: sentences that fit, in batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from triptych.data.sentences import split_sentences
from triptych.errors import DataError
from triptych.recipes.translate_options import TranslateOptions
from triptych.tokenizers.base import TranslationTokenizer

ENDS, PAUSES = (".", "!", "?", "…", ":", ";"), (",",)


@dataclass(frozen=True)
class Piece:
    """A sentence, or a part of one, of line `line` (from 0)."""

    line: int
    text: str
    source_ids: list[int]
    """Ends in the end-of-sentence token."""
    prefix_ids: list[int]
    """What the translation must begin with; may be empty."""
    limit: int
    """Most tokens of the translation."""


def cut_into_pieces(
    lines: Sequence[str],
    prefixes: Sequence[str] | None,
    tokenizer: TranslationTokenizer,
    options: TranslateOptions,
    max_seq_len: int,
    place: Callable[[int], str],
) -> list[Piece]:
    """The pieces of all lines, in order; a blank line has none.

    A prefix belongs to the first piece of its line. `place` names a line for messages.
    Raises DataError for a line or prefix longer than the model's limit.
    """
    texts: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        language = options.split_sentences
        parts = split_sentences(line, language) if language is not None else [line]
        texts += [(number, part) for part in parts if part.strip()]
    encoded = tokenizer.encode_source([text for _, text in texts])
    prefix_ids = [ids[:-1] for ids in tokenizer.encode_target(prefixes)] if prefixes else None

    pieces: list[Piece] = []
    for (number, text), source_ids in zip(texts, encoded, strict=True):
        fitting = [(text, source_ids)]
        if len(source_ids) > max_seq_len:
            if options.on_too_long == "refuse":
                raise _too_long(place(number), len(source_ids), max_seq_len)
            fitting = list(_halve(text, tokenizer, max_seq_len, place(number)))
        for part, part_ids in fitting:
            if len(part_ids) <= 1:  # nothing but the end, for example a soft hyphen
                continue
            is_first = not pieces or pieces[-1].line != number
            prefix = prefix_ids[number] if prefix_ids is not None and is_first else []
            limit = _limit(len(part_ids), len(prefix), options, max_seq_len, place(number))
            pieces.append(Piece(number, part, part_ids, prefix, limit))
    return pieces


def _limit(
    n_source: int, n_prefix: int, options: TranslateOptions, max_seq_len: int, place: str
) -> int:
    limit = min(options.max_new_tokens or 2 * n_source + 10 + n_prefix, max_seq_len)
    if n_prefix >= limit:
        raise DataError(
            f"{place}: the prefix has {n_prefix} tokens, and a translation may have {limit}; "
            "shorten it or raise max_new_tokens"
        )
    return limit


def _too_long(place: str, n_tokens: int, max_seq_len: int) -> DataError:
    return DataError(
        f"{place}: {n_tokens:,} tokens, more than this model's limit of {max_seq_len:,}; split "
        "the line into sentences (--split-sentences en), or let it be split (--on-too-long split)"
    )


def _halve(
    text: str, tokenizer: TranslationTokenizer, max_seq_len: int, place: str
) -> Iterator[tuple[str, list[int]]]:
    """Parts of `text` that fit, in order: halved near the middle as often as it takes."""
    source_ids = tokenizer.encode_source([text])[0]
    if len(source_ids) <= max_seq_len:
        yield text, source_ids
        return
    words = text.split()
    if len(words) > 1:
        cut = _best_cut(words)
        halves = " ".join(words[:cut]), " ".join(words[cut:])
    elif len(text) > 1:
        halves = text[: len(text) // 2], text[len(text) // 2 :]
    else:
        raise _too_long(place, len(source_ids), max_seq_len)
    for half in halves:
        yield from _halve(half, tokenizer, max_seq_len, place)


def _best_cut(words: Sequence[str]) -> int:
    """Where to cut: in the middle half, after a sentence if there is one, or a comma."""
    middle = len(words) // 2
    near = sorted(range(1, len(words)), key=lambda cut: abs(cut - middle))[: max(1, middle)]
    for marks in (ENDS, PAUSES):
        for cut in near:
            if words[cut - 1].endswith(marks):
                return cut
    return middle
