"""Text as words, for vectors of words: the rule, and a corpus of ids on the disk.

A word is a run of letters, marks and digits (Unicode's L, M and N), with apostrophes between them
("don't"), in lower case and in the composed form (NFC); ’ counts as '. All else divides words. No
window reaches over the end of a line (of a JSON object, of its text).

    corpus = build_word_corpus(["wikipedia.txt.xz"], folder, min_count=5)
    for line in corpus.lines(): ...                     # ids of words, those left out left out
"""

import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import regex

from triptych.data.text import PathLike
from triptych.data.text_stream import TextReport, read_texts
from triptych.errors import DataError

Ids = npt.NDArray[np.int32]

WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}\p{N}]+)*")
RULE = "lower-cased runs of letters, marks and digits, apostrophes within; NFC"

LINE_END = -1
"""In place of an id."""
BLOCK = 1 << 20
"""Ids that are held at once."""


def words_of(text: str) -> list[str]:
    """The words of a text, by the rule above."""
    words: list[str] = WORD.findall(composed(text).lower())
    return words


def words_around(text: str, start: int, end: int) -> list[str]:
    """The words by the same rule that do not touch `text[start:end]`, upper case kept."""
    before, within, after = map(composed, (text[:start], text[start:end], text[end:]))
    begin, stop = len(before), len(before) + len(within)
    found = WORD.finditer(before + within + after)
    return [word.group() for word in found if word.end() <= begin or word.start() >= stop]


def composed(text: str) -> str:
    """In NFC, with one sign for all apostrophes."""
    return unicodedata.normalize("NFC", text).replace("’", "'")


@dataclass(frozen=True)
class WordCorpus:
    """A text as ids on the disk; the words that are too rare are left out of it."""

    path: Path
    words: list[str]
    """The most frequent first, equally frequent ones by their letters."""
    counts: npt.NDArray[np.int64]
    n_read: int
    """Words of the text, those left out included."""
    n_distinct: int
    """Different ones among them."""
    report: TextReport

    @property
    def n_words(self) -> int:
        """Words that are left."""
        return int(self.counts.sum())

    def blocks(self, size: int = BLOCK) -> Iterator[Ids]:
        """The ids, `LINE_END` after each line, at most `size` at once."""
        with self.path.open("rb") as file:
            while len(block := np.fromfile(file, dtype=np.int32, count=size)):
                yield block

    def lines(self) -> Iterator[Ids]:
        """The ids of each line that has any."""
        waiting: list[Ids] = []
        for block in self.blocks():
            *whole, rest = np.split(block, np.flatnonzero(block == LINE_END) + 1)
            for line in whole:
                yield np.concatenate([*waiting, line[:-1]])
                waiting = []
            waiting.append(rest)


def thin_out(corpus: WordCorpus, folder: Path, share: float, seed: int) -> WordCorpus:
    """The corpus with common words left out at random, so that a window reaches further.

    Mikolov et al. 2013, as their program has it: a word that makes up f of the text stays with the
    probability √(share / f) + share / f. `counts` are still those of the whole text.
    """
    f = corpus.counts / corpus.n_words
    stays = np.append(np.sqrt(share / f) + share / f, 1.0)  # its last is that of `LINE_END`
    random = np.random.default_rng([seed, 3])
    path = folder / "thinned.bin"
    with path.open("wb") as file:
        for block in corpus.blocks():
            block[random.random(len(block)) < stays[block]].tofile(file)
    return replace(corpus, path=path)


def build_word_corpus(
    inputs: PathLike | Sequence[PathLike],
    folder: Path,
    min_count: int = 5,
    vocab_size: int | None = None,
    text_field: str = "text",
) -> WordCorpus:
    """Read a text once and write its ids into `folder`.

    Inputs are as in `text_stream.py`, each line a line. Words that occur fewer than `min_count`
    times are left out, and of the others all but the `vocab_size` most frequent. Memory: a table of
    all different words (some 100 bytes each) and a few MB.

    Raises DataError for inputs without words, and where fewer than two different words are left.
    """
    parts, report = read_texts(inputs, "line", text_field)
    numbers: dict[str, int] = {}
    totals = np.zeros(0, dtype=np.int64)
    raw = folder / "numbers.bin"
    with raw.open("wb") as file:
        waiting = array("i")
        for part in parts:
            # the length is taken anew for each word, so that a new one gets the next number
            waiting.extend([numbers.setdefault(w, len(numbers)) for w in words_of(part.text)])
            if part.ends:
                waiting.append(LINE_END)
            if len(waiting) >= BLOCK:
                totals = _flush(waiting, file, totals, len(numbers))
                waiting = array("i")
        totals = _flush(waiting, file, totals, len(numbers))
    words, new_ids = _choose(list(numbers), totals, min_count, vocab_size)
    path = folder / "ids.bin"
    _renumber(raw, path, new_ids)
    raw.unlink()
    counts = totals[np.argsort(new_ids)[-len(words) :]]
    return WordCorpus(path, words, counts, int(totals.sum()), len(numbers), report)


def _flush(
    waiting: "array[int]", file: BinaryIO, totals: npt.NDArray[np.int64], n_numbers: int
) -> npt.NDArray[np.int64]:
    """Write the numbers; the counts with theirs."""
    numbers = np.frombuffer(waiting, dtype=np.int32)
    numbers.tofile(file)
    counts = np.bincount(numbers[numbers != LINE_END], minlength=n_numbers)
    counts[: len(totals)] += totals
    return counts


def _choose(
    words: list[str], totals: npt.NDArray[np.int64], min_count: int, vocab_size: int | None
) -> tuple[list[str], Ids]:
    """The words that stay, in order, and for each number the id or `LINE_END`."""
    if not words:
        raise DataError("there is no word in the text, only other characters; give another text")
    if len(words) == 1:
        raise DataError(
            f"the text holds a single distinct word, {words[0][:40]!r}, {totals[0]:,} times; "
            "vectors say how words differ, so give a text with several"
        )
    kept = [number for number, total in enumerate(totals) if total >= min_count]
    kept.sort(key=lambda number: (-totals[number], words[number]))
    kept = kept[:vocab_size]
    if len(kept) < 2:
        raise DataError(
            f"of {len(words):,} distinct words {len(kept)} occurs at least {min_count} times, and "
            "two are needed; lower min_count, or give more text"
        )
    new_ids = np.full(len(words), LINE_END, dtype=np.int32)
    new_ids[kept] = np.arange(len(kept), dtype=np.int32)
    return [words[number] for number in kept], new_ids


def _renumber(raw: Path, path: Path, new_ids: Ids) -> None:
    """Give each number its id; words left out, and lines with nothing else, are passed over."""
    ended = True
    with raw.open("rb") as old, path.open("wb") as new:
        while len(numbers := np.fromfile(old, dtype=np.int32, count=BLOCK)):
            ends = numbers == LINE_END
            ids = np.where(ends, np.int32(LINE_END), new_ids[numbers])
            ids = ids[ends | (ids != LINE_END)]
            before = np.concatenate([[LINE_END if ended else 0], ids[:-1]])
            ids = ids[(ids != LINE_END) | (before != LINE_END)]
            if len(ids):
                ids.tofile(new)
                ended = bool(ids[-1] == LINE_END)
