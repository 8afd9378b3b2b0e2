"""Leave out pairs that teach nothing, and say which and why.

    pairs, report = clean(read_aligned("train.en", "train.de", tolerant=True), CleaningRules())
    shards = PairShards.build(pairs, ...)
    print(report)

Cleaning streams: it holds one block of pairs and, to know duplicates, 8 bytes for each pair that
has passed (20 at the worst moment, while two sorted runs are merged): 40 MB for 5 million pairs.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from triptych.data.pairs import MISALIGNED, SentencePair
from triptych.data.tally import Tally, table
from triptych.data.text import INVALID_UTF8
from triptych.errors import ConfigError

EMPTY = "empty side"
TOO_LONG = "too long"
RATIO = "length ratio"
DUPLICATE = "duplicate"
COPY = "source equals target"
REASONS = (INVALID_UTF8, MISALIGNED, EMPTY, TOO_LONG, RATIO, COPY, DUPLICATE)

RATIO_FLOOR = 20
"""Characters; a pair whose sides are both shorter has no meaningful ratio ("Hi!", "Grüß Gott!")."""
BLOCK = 512
"""Pairs looked at together for a shift of one side against the other."""
MAX_SHIFT = 8
MIN_SPREAD = 0.1
"""Standard deviation of the log lengths of a block that can be judged; captions have 0.3."""


@dataclass(frozen=True)
class CleaningRules:
    """What a pair must satisfy; None or False leaves a rule out.

    Lengths and their ratio are in characters, which are known before any tokenizer is; the limit in
    tokens is `max_tokens` of `PairShards.build`.
    """

    max_words: int | None = 250
    max_characters: int | None = 4000
    max_ratio: float | None = 4.0
    drop_duplicates: bool = True
    drop_copies: bool = False
    drop_shifted: bool = True

    def __post_init__(self) -> None:
        for name in ("max_words", "max_characters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} = {value} would leave no pair; it must be at least 1")
        if self.max_ratio is not None and self.max_ratio < 1:
            raise ConfigError(f"max_ratio = {self.max_ratio} would leave no pair; it is at least 1")


@dataclass
class CleaningReport:
    """How many pairs were read, kept, and left out for each reason, with the first examples.

    `examples` hold a place (`file:line`), or `pair N` from 1 where a pair came from no file. It is
    complete when the pairs of `clean` have been read to the end.
    """

    n_read: int = 0
    n_kept: int = 0
    dropped: Tally = field(default_factory=lambda: Tally(REASONS))

    @property
    def counts(self) -> dict[str, int]:
        """Pairs left out, by reason."""
        return self.dropped.counts

    @property
    def examples(self) -> dict[str, list[str]]:
        """Where the first of them stood, by reason."""
        return self.dropped.examples

    def drop(self, reason: str, pair: SentencePair, number: int) -> None:
        """Count `pair`, the `number`-th, as left out for `reason`."""
        self.dropped.add(reason, pair.place or f"pair {number}")

    def to_dict(self) -> dict[str, object]:
        """The report for JSON."""
        return {
            "n_read": self.n_read,
            "n_kept": self.n_kept,
            "dropped": self.dropped.to_dict(),
        }

    def __str__(self) -> str:
        """A table: one row for each reason that occurred."""
        return table(
            [
                ("pairs read", self.n_read, ""),
                *self.dropped.rows(),
                ("pairs kept", self.n_kept, ""),
            ]
        )


def clean(
    pairs: Iterable[SentencePair], rules: CleaningRules
) -> tuple[Iterator[SentencePair], CleaningReport]:
    """The pairs that satisfy `rules`, and a report that fills while they are read.

    Each pair left out is counted once, under the first reason in the order of REASONS.

    "misaligned" are lines that a tolerant reader could not split, and pairs in a block where one
    side has slipped against the other: translations are about as long as their originals, so in
    512 neighbouring pairs the lengths correlate; where they hardly do (below 0.25), but would (at
    0.5 or more) if one side were moved by up to 8 lines, the whole block is left out.
    """
    report = CleaningReport()
    return _clean(iter(pairs), rules, report), report


def _clean(
    pairs: Iterator[SentencePair], rules: CleaningRules, report: CleaningReport
) -> Iterator[SentencePair]:
    seen = HashSet()
    while block := list(islice(pairs, BLOCK)):
        shifted = rules.drop_shifted and is_shifted(block)
        repeated = (
            seen.add(np.array([_hash(pair) for pair in block], dtype=np.uint64))
            if rules.drop_duplicates
            else np.zeros(len(block), dtype=bool)
        )
        for pair, again in zip(block, repeated.tolist(), strict=True):
            report.n_read += 1
            reason = pair.fault or (MISALIGNED if shifted else _fault(pair, rules))
            reason = reason or (DUPLICATE if again else "")
            if reason:
                report.drop(reason, pair, report.n_read)
            else:
                report.n_kept += 1
                yield pair


def _fault(pair: SentencePair, rules: CleaningRules) -> str:
    """The first rule that a readable pair breaks on its own, or an empty string."""
    source, target = pair.source.strip(), pair.target.strip()
    if not source or not target:
        return EMPTY
    shorter, longer = sorted((len(source), len(target)))
    if rules.max_characters is not None and longer > rules.max_characters:
        return TOO_LONG
    if rules.max_words is not None and (
        len(source.split()) > rules.max_words or len(target.split()) > rules.max_words
    ):
        return TOO_LONG
    if rules.max_ratio is not None and longer > max(RATIO_FLOOR, rules.max_ratio * shorter):
        return RATIO
    return COPY if rules.drop_copies and source == target else ""


def is_shifted(block: list[SentencePair]) -> bool:
    """Whether the lengths in a full block fit far better with one side moved by a few lines."""
    if len(block) < BLOCK:
        return False  # too few for a judgement
    lengths = np.log1p([(len(pair.source), len(pair.target)) for pair in block])
    if lengths.std(axis=0).min() < MIN_SPREAD:
        return False  # all about as long, as in a file sorted by length: nothing to see
    source, target = lengths.T
    if _correlation(source, target) >= 0.25:
        return False
    return any(
        _correlation(source[:-shift], target[shift:]) >= 0.5
        or _correlation(source[shift:], target[:-shift]) >= 0.5
        for shift in range(1, MAX_SHIFT + 1)
    )


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Pearson's r; 0 where a side is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-9 else 0.0


def _hash(pair: SentencePair) -> int:
    text = f"{pair.source.strip()}\0{pair.target.strip()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


class HashSet:
    """A growing set of 8-byte hashes in sorted runs; a run is merged when the next is as large.

    Two different pairs share a hash with a chance of n² / 2⁶⁵ for the whole corpus: under one in a
    million at 5 million pairs.
    """

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.uint64]] = []

    def add(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Add all; for each, whether it was there already or came before in `hashes`."""
        _, first = np.unique(hashes, return_index=True)
        known = np.ones(len(hashes), dtype=bool)
        known[first] = False
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            known |= run[places] == hashes
        new = np.sort(hashes[~known])
        while self._runs and len(self._runs[-1]) <= len(new):
            new = np.concatenate([self._runs.pop(), new])
            new.sort(kind="stable")  # merges the two runs in one pass
        if len(new):
            self._runs.append(new)
        return known
