"""The last word of each passage of LAMBADA: how often it is guessed, and how surprising it is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from triptych import __version__
from triptych.data.text_stream import read_json_lines
from triptych.decoding.forced import forced_is_likeliest, forced_log_probs
from triptych.decoding.windows import Window, sliding_windows
from triptych.errors import DataError
from triptych.evaluation.detokenizers import DETOKENIZERS
from triptych.evaluation.language_model import signature
from triptych.evaluation.last_words import (
    LastWord,
    LastWordScores,
    cut_last_word,
    score_last_words,
    stop_word_ids,
)
from triptych.recipes.generate_options import GenerateOptions, OnTooLong
from triptych.recipes.generator import Generator
from triptych.recipes.generator_parts import encode_at
from triptych.recipes.score_texts import check_length
from triptych.training.progress import ProgressLine

BATCHED = 1000
"""Passages between two steps of the progress line."""


@dataclass(frozen=True)
class LambadaReport:
    """Scores of one model on LAMBADA, and how they came about."""

    scores: LastWordScores
    signature: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **self.scores.to_json(),
            "signature": self.signature,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        s = self.scores
        return "\n".join(
            [
                f"accuracy           {100 * s.accuracy:7.2f}   all tokens of the word greedy",
                f"without stop words {100 * s.accuracy_stop_words:7.2f}   no stop word as a guess",
                f"last token         {100 * s.accuracy_last_token:7.2f}   the last token alone",
                f"perplexity         {s.perplexity:7.2f}   of the last word",
                f"{s.n:,} passages, {self.seconds:.1f} s",
                self.signature,
            ]
        )


def evaluate_lambada(
    generator: Generator,
    file: str,
    *,
    detokenizer: Literal["none", "lambada"] = "none",
    on_too_long: OnTooLong = "refuse",
    quiet: bool = False,
) -> LambadaReport:
    """Predict the last word of each passage of a JSONL file (field `text`).

    Raises DataError, with file and line, for a passage without a last word, or, unless its
    beginning may go out of sight, longer than the context.
    """
    texts, places = _read(file, DETOKENIZERS[detokenizer])
    context = generator.module.config.max_seq_len
    windows = list(_windows(generator, texts, places, on_too_long))
    stop_ids = stop_word_ids(generator.tokenizer.token_bytes)
    began = time.monotonic()
    found: list[LastWord] = []
    with generator.reading() as reader, ProgressLine("lambada", len(texts), quiet=quiet) as line:
        for start in range(0, len(windows), BATCHED):
            measured = reader.measure(windows[start : start + BATCHED], _measure(stop_ids))
            found += [_last_word(values) for values in measured]
            line.show(len(found), "")
    choices = [
        ("context", context),
        ("begin", "end-of-text"),
        ("word", "after-last-whitespace"),
        ("detokenizer", detokenizer),
        ("stop-words", f"{len(stop_ids)}-tokens"),
        ("too-long", on_too_long),
        ("precision", generator.twin.precision),
        ("triptych", __version__),
    ]
    return LambadaReport(score_last_words(found), signature(choices), time.monotonic() - began)


def _read(file: str, detokenize: Callable[[str], str]) -> tuple[list[str], list[str]]:
    rows = list(read_json_lines(file))
    if not rows:
        raise DataError(f"{file} is empty; give a JSON object with a text in each line")
    for text, place in rows:
        if len(text.split()) < 2:
            raise DataError(
                f"{place}: {text[:40]!r} has no last word with something before it; leave it out"
            )
    return [detokenize(text) for text, _ in rows], [place for _, place in rows]


def _windows(
    generator: Generator, texts: Sequence[str], places: Sequence[str], on_too_long: OnTooLong
) -> Iterator[Window]:
    """What is read of each passage, its last word to be predicted."""
    cut = [cut_last_word(text) for text in texts]
    bounds = generator.bounds(GenerateOptions(on_too_long=on_too_long))
    before = encode_at(generator.tokenizer, [text for text, _ in cut], places.__getitem__)
    words = encode_at(generator.tokenizer, [word for _, word in cut], places.__getitem__)
    for context, word, place in zip(before, words, places, strict=True):
        token_ids = torch.tensor([bounds.eos_id, *context, *word])
        n_before = len(token_ids) - len(word)
        check_length(token_ids, n_before, bounds, place)
        if len(word) > bounds.max_seq_len:
            raise DataError(
                f"{place}: the last word has {len(word):,} tokens, more than this model's context "
                f"of {bounds.max_seq_len:,}; leave it out"
            )
        yield from sliding_windows(token_ids, n_before, bounds.max_seq_len, bounds.max_seq_len)


def _measure(stop_ids: Sequence[int]) -> Callable[..., Tensor]:
    def measure(
        hidden: Tensor, logits: Callable[[Tensor], Tensor], targets: Tensor
    ) -> Tensor:  # [B, T, 3]
        greedy = forced_is_likeliest(hidden, logits, targets)
        filtered = forced_is_likeliest(hidden, logits, targets, stop_ids)
        return torch.stack(
            [forced_log_probs(hidden, logits, targets), greedy.float(), filtered.float()], dim=-1
        )

    return measure


def _last_word(values: Tensor) -> LastWord:
    """values [N, 3] of the tokens of a word: log p, greedy, greedy where no stop word may be."""
    log_probs, greedy, filtered = values.double().unbind(dim=1)
    rest = bool(greedy[1:].all())
    return LastWord(
        log_prob=float(log_probs.sum()),
        is_greedy=bool(greedy[0]) and rest,
        is_greedy_filtered=bool(filtered[0]) and rest,
        last_is_greedy=bool(greedy[-1]),
    )
